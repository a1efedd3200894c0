/** Links between the pages lead somewhere. */
import {existsSync, readdirSync, readFileSync} from 'node:fs'
import {dirname, join, normalize} from 'node:path'
import test from 'ava'
import {anchorsOf, linksOf} from './support/markdown.ts'
import {ROOT} from './support/page.ts'

const PAGES = [
  ...readdirSync(ROOT).filter(name => name.endsWith('.md')),
  ...readdirSync(join(ROOT, 'docs'), {recursive: true, encoding: 'utf8'})
    .filter(name => name.endsWith('.md'))
    .map(name => join('docs', name)),
]

const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8')

/** Undefined: it leads somewhere. */
function faultOf(page: string, link: string): string | undefined {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? page : normalize(join(dirname(page), path))
  if (!existsSync(join(ROOT, target))) return `${link}: there is no such file`
  if (anchor === undefined || !target.endsWith('.md') || anchorsOf(read(target)).includes(anchor)) return undefined
  return `${link}: there is no such heading`
}

for (const page of PAGES)
  test(`${page}: its links`, t => {
    t.deepEqual(
      linksOf(read(page)).flatMap(link => faultOf(page, link) ?? []),
      [],
    )
  })

test('what a link and an anchor are', t => {
  t.deepEqual(linksOf('see [a](b.md#c), ![d](e.svg) and [f](https://g.h/)'), ['b.md#c', 'e.svg'])
  t.deepEqual(anchorsOf('# Give pods: a `second` network\n```\n# no\n```\n## If it does not work'), [
    'give-pods-a-second-network',
    'if-it-does-not-work',
  ])
})
