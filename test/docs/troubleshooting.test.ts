/** docs/troubleshooting.md quotes what the code says; and every page is found from docs/README.md. */
import {globSync, readFileSync} from 'node:fs'
import {dirname, join, relative} from 'node:path'
import test from 'ava'
import {anchorsOf, linksOf} from './support/markdown.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

/** Lines that are nothing but a quotation: "> `sentence`". */
const quotesIn = (page: string): string[] => [...page.matchAll(/^> `(.+)`$/gm)].map(([, sentence]) => sentence!)

/** What is certain of it: without the places that differ, and apart where sentences are put together. */
const piecesOf = (sentence: string): string[] =>
  sentence
    .split(/"?<[^<>]+>"?(?:\/<[^<>]+>"?)?|[:;] /)
    .map(piece => piece.replaceAll(/^[\s":;(,]+|[\s":;(,]+$/g, ''))
    .filter(piece => /\w{2}/.test(piece))

/** Text of the code, with strings that are put together from several lines in one, and without backslashes. */
const CODE = [...globSync('src/**/*.ts', {cwd: ROOT}), ...globSync('native/*.c', {cwd: ROOT})]
  .map(path =>
    read(path)
      .replaceAll(/['`"] \+\s+['`"]/g, '')
      .replaceAll('\\', ''),
  )
  .join('\n')

test('each sentence that is quoted is one of the code', t => {
  const quotes = quotesIn(read('docs/troubleshooting.md'))
  t.true(quotes.length > 40, `${quotes.length}`)
  for (const quote of quotes) {
    const pieces = piecesOf(quote)
    t.true(
      pieces.some(piece => piece.length >= 12),
      `too little of it is certain: ${quote}`,
    )
    for (const piece of pieces) t.true(CODE.includes(piece), `"${piece}" of: ${quote}`)
  }
})

test('a sentence that nobody says would be found', t => {
  t.deepEqual(piecesOf('pods of "<namespace>" may not use "<namespace>/<name>"; be kind'), [
    'pods of',
    'may not use',
    'be kind',
  ])
  t.false(CODE.includes('; be kind'))
})

test('every page is reached from docs/README.md', t => {
  const pages = globSync('docs/**/*.md', {cwd: ROOT})
  const reached = new Set<string>()
  const follow = (page: string): void => {
    if (reached.has(page) || !pages.includes(page)) return
    reached.add(page)
    for (const target of linksOf(read(page)))
      follow(relative(ROOT, join(ROOT, dirname(page), target.replace(/#.*/, ''))))
  }
  follow('docs/README.md')
  t.deepEqual(
    pages.filter(page => !reached.has(page)),
    [],
  )
})

test('what docs/README.md and docs/troubleshooting.md link to within pages is there', t => {
  for (const page of ['docs/README.md', 'docs/troubleshooting.md', 'docs/crds.md'])
    for (const target of linksOf(read(page))) {
      const [file = '', anchor] = target.split('#')
      if (anchor === undefined) continue
      const path = file === '' ? page : relative(ROOT, join(ROOT, dirname(page), file))
      t.true(anchorsOf(read(path)).includes(anchor), `${page}: ${target}`)
    }
})
