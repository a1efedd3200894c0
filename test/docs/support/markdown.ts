/** Fenced blocks of a page, in their order. */

export interface Block {
  /** "sh", "yaml"; empty: what is shown of a run. */
  readonly language: string
  readonly text: string
  /** Of the opening fence, from 1. */
  readonly line: number
  /** Of `<!-- not run: why -->` right above it, which readers do not see. */
  readonly notRun?: string
}

/** Within lists they are indented. */
const FENCE = /^( *)```(\S*)$/
const NOT_RUN = /^ *<!-- not run: (.+) -->$/

/** Throws where a block has no end. */
export function blocksOf(markdown: string): Block[] {
  const lines = markdown.split('\n')
  const blocks: Block[] = []
  for (let i = 0; i < lines.length; i++) {
    const fence = FENCE.exec(lines[i]!)
    if (!fence) continue
    const [, indent = '', language = ''] = fence
    const end = lines.indexOf(`${indent}\`\`\``, i + 1)
    if (end < 0) throw new Error(`line ${i + 1}: the block has no end`)
    const notRun = NOT_RUN.exec(lines[i - 1] ?? '')?.[1]
    const text = lines
      .slice(i + 1, end)
      .map(line => line.slice(indent.length))
      .join('\n')
    blocks.push({language, text, line: i + 1, ...(notRun !== undefined && {notRun})})
    i = end
  }
  return blocks
}

/** Of a `yaml` block: its first line is a comment with a file's name. Undefined: it is not meant to be written. */
export const fileNameOf = ({text}: Block): string | undefined => /^# ([\w.-]+\.ya?ml)$/m.exec(text.split('\n')[0]!)?.[1]

/** Targets of its links, without those of the web. */
export const linksOf = (markdown: string): string[] =>
  [...markdown.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target]) => target!).filter(target => !/^[a-z]+:/.test(target))

/** How a heading is linked to, as GitHub does it. */
export const anchorsOf = (markdown: string): string[] =>
  [...markdown.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\- _]/gu, '')
      .replaceAll(' ', '-'),
  )
