/** docs/errors.md has every code that the program has, and no other. */
import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import {CNI_CODES} from '../../src/cni/error.ts'
import {PROBLEM_KINDS} from '../../src/routes/claims.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const page = readFileSync(join(ROOT, 'docs', 'errors.md'), 'utf8')
const files = readdirSync(join(ROOT, 'src'), {recursive: true, encoding: 'utf8'}).filter(
  file => file.endsWith('.ts') && !file.startsWith('lab/'),
)
const source = (file: string): string => readFileSync(join(ROOT, 'src', file), 'utf8')
const everything = files.map(source).join('\n')

/** The cells of the table below a headline, without the head; of the first column what stands in its backticks. */
function rows(headline: string): string[][] {
  const [, after = ''] = page.split(`\n## ${headline}\n`)
  const lines = after.split('\n## ')[0]!.split('\n')
  return lines
    .filter(line => line.startsWith('| `'))
    .map(line =>
      line
        .slice(1, -1)
        .split(' | ')
        .map(cell => cell.trim()),
    )
    .map(([first, ...rest]) => [first!.replaceAll('`', ''), ...rest])
}

const names = (headline: string): string[] => rows(headline).map(([first]) => first!)
const sorted = (list: Iterable<string>): string[] => [...new Set(list)].sort()

test('CNI codes, the plugin own ones among them', t => {
  t.deepEqual(
    rows('CNI error codes').map(([code, name]) => [name, code]),
    Object.entries(CNI_CODES).map(([name, code]) => [`\`${name}\``, `${code}`]),
  )
  const shim = readFileSync(join(ROOT, 'native', 'cni-shim.c'), 'utf8')
  const [, body = ''] = /enum code \{(.*?)\}/s.exec(shim) ?? []
  const own = [...body.matchAll(/= (\d+)/g)].map(([, code]) => code!)
  t.true(own.length > 0)
  t.deepEqual(
    own.filter(code => !names('CNI error codes').includes(code)),
    [],
  )
})

test('exit statuses', t => {
  const [, said = ''] = /Exit status:(.*?)\*\//s.exec(source('cli/main.ts')) ?? []
  const statuses = [...said.matchAll(/\b(\d)\b/g)].map(([, status]) => status!)
  t.deepEqual(sorted(names('Exit statuses')), sorted(statuses))
})

test('reasons of Events', t => {
  const reasons = ['agent/attach-events.ts', 'agent/pair-tell.ts'].flatMap(file =>
    [...source(file).matchAll(/'([A-Z][a-z]+(?:[A-Z][a-z]+)*)'/g)].map(([, word]) => word!),
  )
  const types = ['Normal', 'Warning']
  t.deepEqual(sorted(names('Events on pods')), sorted(reasons.filter(word => !types.includes(word))))
  // Nobody else makes any: the last one only says what they are.
  const makers = files.filter(file => /type: '(Normal|Warning)'/.test(source(file)))
  t.deepEqual(makers.sort(), ['agent/attach-events.ts', 'agent/pair-tell.ts', 'kube/events.ts'])
  for (const [, type] of rows('Events on pods')) t.true(types.includes(type!))
})

/** The members of a union of texts. */
function members(file: string, type: string): string[] {
  const [, body = ''] = new RegExp(`type ${type} =(.*?)\\n\\n`, 's').exec(`${source(file)}\n\n`) ?? []
  return [...body.matchAll(/'(\w+)'/g)].map(([, member]) => member!)
}

test('codes of errors', t => {
  const fixed = [...everything.matchAll(/readonly code(?: = |: )'(\w+)'/g)].map(([, code]) => code!)
  const unions = [
    ['model/store.ts', 'StoreErrorCode'],
    ['streams/list-watch.ts', 'ApiErrorCode'],
    ['cri/error.ts', 'CriErrorCode'],
  ] as const
  const all = unions.flatMap(([file, type]) => members(file, type))
  t.true(all.length > 12)
  t.deepEqual(sorted(names('Codes in the log')), sorted([...fixed, ...all]))
})

test('kinds of problems, what pairs wait for, what is not ready', t => {
  t.deepEqual(sorted(names('Problems of routes')), sorted(PROBLEM_KINDS))
  const [, waits = ''] = /readonly waitsFor\?: (.*)/.exec(source('model/pair.ts')) ?? []
  const more = [...waits.matchAll(/'(\w+)'/g)].map(([, member]) => member!)
  t.deepEqual(
    sorted(names('States of attachments and pairs')),
    sorted([...members('model/pair.ts', 'WaitsFor'), ...more]),
  )
  const conditions = [...everything.matchAll(/status\.set\(\s*(?:'(\w+)'|`(\w+) )/g)].map(
    ([, word, network]) => word ?? `${network} …`,
  )
  t.deepEqual(sorted(names('What is not ready')), sorted(conditions))
})

test('sentences about the configuration are those of the code', t => {
  for (const [like] of rows('Problems of the configuration'))
    for (const part of like!.split('…').map(text => text.trim().replace(/[;,?]$/, '')))
      t.true(part === '' || everything.includes(part), part)
})
