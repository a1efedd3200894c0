/** Who may import whom: the floors of the house. */
import {readdirSync, readFileSync} from 'node:fs'
import {dirname, join, relative} from 'node:path'
import test from 'ava'

const ROOT = new URL('..', import.meta.url).pathname

/** What each folder of src may import of ours, beside itself. */
const FLOORS: Readonly<Record<string, readonly string[] | 'all'>> = {
  model: [],
  streams: ['model'],
  routes: ['model'],
  ipam: ['model'],
  masquerade: ['model'],
  guard: ['model', 'masquerade'],
  pairs: ['model'],
  attach: ['model'],
  netlink: ['model', 'streams'],
  kube: ['model', 'streams'],
  store: ['model', 'streams'],
  observe: ['model', 'streams'],
  cni: ['model'],
  cri: ['model'],
  install: ['model'],
  agent: 'all',
  lab: ['model', 'streams', 'netlink', 'kube', 'observe'],
  cli: 'all',
}

/** Libraries that only one edge may know. */
const KEPT: Readonly<Record<string, string>> = {
  '@kubernetes/client-node': 'kube',
  etcd3: 'store',
  'prom-client': 'observe',
  pino: 'observe',
  '@grpc/grpc-js': 'cri',
  '@grpc/proto-loader': 'cri',
}

const files = readdirSync(join(ROOT, 'src'), {recursive: true, encoding: 'utf8'}).filter(file => file.endsWith('.ts'))

test('imports stay on their floor', t => {
  const wrong: string[] = []
  for (const file of files) {
    const folder = file.split('/')[0]!
    const may = FLOORS[folder]
    t.truthy(may, `src/${folder} has no floor: say in this test what it may import`)
    for (const imported of importsOf(file)) {
      const target = imported.startsWith('.')
        ? relative('src', join('src', dirname(file), imported)).split('/')[0]!
        : undefined
      if (target && target !== folder && may !== 'all' && !may!.includes(target))
        wrong.push(`${file} imports ${imported}`)
      const keeper = Object.keys(KEPT).find(library => imported === library || imported.startsWith(`${library}/`))
      if (keeper && KEPT[keeper] !== folder) wrong.push(`${file} imports ${imported}`)
    }
  }
  t.deepEqual(wrong, [])
})

test('subscribing happens in src/streams and agent/main.ts', t => {
  const allowed = (file: string) => file.startsWith('streams/') || file.startsWith('lab/') || file === 'agent/main.ts'
  t.deepEqual(
    files.filter(file => !allowed(file) && source(file).includes('.subscribe(')),
    [],
  )
})

test('the environment is read at the doors', t => {
  const doors = ['agent/config.ts', 'cli/main.ts', 'lab/']
  const reads = files.filter(file => source(file).includes('process.env') && !doors.some(door => file.startsWith(door)))
  t.deepEqual(
    reads.filter(file => /process\.env\b/.test(source(file))),
    [],
  )
})

const source = (file: string): string => readFileSync(join(ROOT, 'src', file), 'utf8')

const importsOf = (file: string): string[] =>
  [...source(file).matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(match => match[1]!)
