/** How deep a JSON text nests, found without recursion: before anything that could exhaust the stack sees it. */

/** Objects and lists within each other. Upper bound: of a text that is not JSON, anything. */
export function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (inString) {
      if (char === BACKSLASH) i++
      else if (char === QUOTE) inString = false
    } else if (char === QUOTE) inString = true
    else if (char === BRACE || char === BRACKET) deepest = Math.max(deepest, ++depth)
    else if (char === BRACE_END || char === BRACKET_END) depth--
  }
  return deepest
}

const [QUOTE, BACKSLASH, BRACE, BRACE_END, BRACKET, BRACKET_END] = Array.from('"\\{}[]', char =>
  char.charCodeAt(0),
) as [number, number, number, number, number, number]
