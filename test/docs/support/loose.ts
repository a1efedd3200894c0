/** Compares what a page shows with what a run printed: names, interfaces, addresses; not what no two runs have in common. */

const MASKS: readonly (readonly [RegExp, string])[] = [
  // But for those that a page chooses itself.
  [/\b(?!02:00:00)([0-9a-f]{2}:){5}[0-9a-f]{2}\b/g, 'MAC'],
  [/\b\d{4}-\d\d-\d\dT[\d:.]+Z\b/g, 'TIME'],
  [/\b10\.244\.\d+\.\d+\b/g, 'POD-IP'],
  [/\bfd00:244:[0-9a-f:]+/g, 'POD-IP'],
  [/\bfe80::[0-9a-f:]+/g, 'LINK-LOCAL'],
  [/\bn[12]\b/g, 'NODE'],
  [/\bnetgraft-[a-z0-9]+\b/g, 'AGENT'],
  // Ages, and how long a ping took.
  [/\b\d+(\.\d+)? ?(ms|s|min|m|h|d)(\d+[smh])?\b/g, 'AGE'],
  [/^\d+: /, 'N: '],
  [/@if\d+/g, '@if'],
  [/\bveth\w+/g, 'VETH'],
  [/ +/g, ' '],
]

export const masked = (line: string): string => {
  let text = line.trim()
  for (const [pattern, name] of MASKS) text = text.replaceAll(new RegExp(pattern, 'g'), name)
  return text
}

/**
 * Every line that is shown must have been printed, in whatever order: lists have none. `…` stands for lines, or for the
 * rest of one, that may be whatever they are. Undefined: so it is.
 */
export function missingLine(shown: string, printed: string): string | undefined {
  const left = printed.split('\n').map(masked)
  for (const line of shown.split('\n').map(masked)) {
    if (line === '' || line === '…') continue
    const begins = line.endsWith(' …') ? line.slice(0, -2) : undefined
    const at = left.findIndex(each => (begins === undefined ? each === line : each.startsWith(begins)))
    if (at < 0) return line
    left.splice(at, 1)
  }
  return undefined
}
