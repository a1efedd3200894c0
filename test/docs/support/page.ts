/** Runs a page's blocks as its reader does, from the first to the last. */
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import type {Cluster} from './cluster.ts'
import {missingLine} from './loose.ts'
import {type Block, blocksOf, fileNameOf} from './markdown.ts'

export const ROOT = join(import.meta.dirname, '..', '..', '..')

export interface Step {
  readonly page: string
  readonly block: Block
  /** A block without a language right behind it: what the page says that is printed. */
  readonly shown?: Block
}

export const readPage = (page: string): Block[] => blocksOf(readFileSync(join(ROOT, page), 'utf8'))

/** Its files and commands. */
export function stepsOf(page: string): Step[] {
  const blocks = readPage(page)
  return blocks.flatMap((block, i) => {
    const next = blocks[i + 1]
    const isStep = block.language === 'sh' || (block.language === 'yaml' && fileNameOf(block) !== undefined)
    return isStep ? [{page, block, ...(next?.language === '' && {shown: next})}] : []
  })
}

/** Milliseconds until what is shown must have been seen. */
const PATIENCE = 90_000
/** What changes nothing may be asked again, until what is shown has come true. */
const LOOKS = /^((\w+=\$\()?kubectl (-n \S+ )?(get|exec|logs|wait)\b|for |done$)/

/** Rejects with the page, the line, and what was printed instead. */
export async function perform(cluster: Cluster, {page, block, shown}: Step): Promise<void> {
  if (block.notRun !== undefined) return
  const name = fileNameOf(block)
  if (block.language === 'yaml') return cluster.write(name!, withLeasesIn(cluster, block.text))
  const again = commandsOf(block.text).every(command => LOOKS.test(command))
  const deadline = performance.now() + PATIENCE
  for (;;) {
    const {status, output} = await cluster.run(withLeasesIn(cluster, block.text))
    const missing = status === 0 ? shown && missingLine(shown.text, output) : `an end with success, not ${status}`
    if (missing === undefined) return
    if (!again || performance.now() > deadline)
      throw new Error(`${page}, line ${block.line}: there was not "${missing}" in this:\n${output}`)
    await sleep(200)
  }
}

/** Without comments; with the lines that go on after a backslash. */
export const commandsOf = (script: string): string[] =>
  script
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'))

/** The nodes of a lab share the machine's files: what `host-local` writes belongs to this run alone. */
const withLeasesIn = ({folder}: Cluster, text: string): string =>
  text.replaceAll('"type": "host-local"', `"type": "host-local", "dataDir": "${join(folder, 'leases')}"`)
