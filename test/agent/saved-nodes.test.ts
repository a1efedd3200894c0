/** The saved nodes on a real disk. Needs root. */
import {type ChildProcess, execFile, execFileSync, spawn} from 'node:child_process'
import {once} from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as wait} from 'node:timers/promises'
import {promisify} from 'node:util'
import test, {type ExecutionContext} from 'ava'
import {checkNodeFile, formatBody, parseBody} from '../../src/agent/node-file.ts'
import {SavedNodes} from '../../src/agent/saved-nodes.ts'
import type {NodeFacts, NodeName} from '../../src/model/facts.ts'
import type {LogFields} from '../../src/model/logger.ts'
import {createMetrics} from '../../src/observe/metrics.ts'
import {projectNode} from '../../src/streams/nodes.ts'

// One after the other: what is asked of the disk at once waits for each other.
const CHILDREN = join(import.meta.dirname, 'child')

function temporary(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'ng-saved-'))
  t.teardown(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}))
  return folder
}

/** A process's view of the folder. What it logs is in `told`. */
function open(folder: string, cluster: string | undefined = 'c') {
  const told: string[] = []
  const tell = (message: string, fields?: LogFields) => told.push(`${message}: ${fields?.detail ?? ''}`)
  const log = {trace: tell, debug: tell, info: tell, warn: tell, error: tell, fatal: tell, child: () => log}
  const metrics = createMetrics({version: ''})
  const saved = new SavedNodes({folder, cluster: () => cluster, log, metrics})
  const metric = async (name: string, label = '') => {
    const {body} = await metrics.expose()
    const line = body.split('\n').find(each => each.startsWith(`netgraft_snapshot_${name}`) && each.includes(label))
    return line && Number(line.split(' ').at(-1))
  }
  return {saved, told, metric}
}

function nodesOf(count: number, machineId = ''): Map<NodeName, NodeFacts> {
  const facts = Array.from({length: count}, (_, i) =>
    projectNode({
      metadata: {
        name: `node-${i}`,
        creationTimestamp: '2026-01-02T03:04:05Z',
        annotations: {
          'netgraft.dev/vtep-default': `{"vni":1,"port":8472,"ends":[{"ip":"192.168.${i >> 8}.${i & 255}","mac":"02:00:00:00:00:02"}]}`,
        },
      },
      spec: {podCIDRs: [`10.${i >> 8}.${i & 255}.0/24`, `fd00:64:${i.toString(16)}::/64`]},
      status: {
        nodeInfo: {machineID: machineId},
        addresses: [{type: 'InternalIP', address: `192.168.${i >> 8}.${i & 255}`}],
      },
    }),
  )
  return new Map(facts.map(each => [each.name, each]))
}

async function load(saved: SavedNodes) {
  await saved.counted()
  return saved.lastGood()
}

async function bodyOf(nodes: ReadonlyMap<NodeName, NodeFacts>): Promise<string> {
  let body = ''
  for await (const piece of formatBody([...nodes.values()])) body += piece
  return body
}

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)

test.serial('what one process has saved the next one reads; for root alone', async t => {
  const folder = join(temporary(t), 'var', 'state')
  const first = open(folder)
  t.is(await load(first.saved), undefined)
  t.is(first.saved.count, 0)
  const before = Date.now()
  t.true(await first.saved.save(nodesOf(12)))
  t.deepEqual(first.told, [])
  t.deepEqual([mode(folder), mode(join(folder, 'nodes.json'))], ['700', '600'])
  t.deepEqual(readdirSync(folder), ['nodes.json'])

  const second = open(folder)
  const lastGood = await load(second.saved)
  t.is(second.saved.count, 12)
  t.true(lastGood!.savedAt >= before && lastGood!.savedAt <= Date.now())
  t.is(await second.metric('saved_timestamp_seconds'), lastGood!.savedAt / 1000)
  t.deepEqual(await bodyOf(lastGood!.items), await bodyOf(nodesOf(12)))
  t.deepEqual(second.told, [])
})

test.serial('the same nodes are not written again, neither by the same process nor by the next one', async t => {
  const folder = temporary(t)
  const file = join(folder, 'nodes.json')
  const first = open(folder)
  await first.saved.save(nodesOf(5))
  const {ino} = statSync(file)
  t.true(await first.saved.save(new Map([...nodesOf(5)].reverse())))
  const second = open(folder)
  await second.saved.counted()
  t.true(await second.saved.save(nodesOf(5)))
  t.is(statSync(file).ino, ino)
  t.true(await second.saved.save(nodesOf(6)))
  t.not(statSync(file).ino, ino)
  // Of another cluster they are not the same.
  const third = open(folder, 'd')
  t.is(await load(third.saved), undefined)
  t.true(await third.saved.save(nodesOf(6)))
  t.is((await load(open(folder, 'd').saved))?.savedAt, checkNodeFile(readFileSync(file)).savedAt)
})

test.serial('a file of another cluster is not used; where nobody can tell, it is', async t => {
  const folder = temporary(t)
  await open(folder).saved.save(nodesOf(5))
  const other = open(folder, 'd')
  t.is(await load(other.saved), undefined)
  t.is(other.saved.count, 0)
  t.deepEqual(other.told, ['the saved nodes cannot be used; going on without them: it is of another cluster'])
  t.is(await other.metric('errors_total', 'op="read"'), 1)
  const unsure = new SavedNodes({...optionsOf(folder), cluster: () => undefined})
  t.truthy(await load(unsure))
})

const quiet = () => {}
const SILENT = {trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet, fatal: quiet, child: () => SILENT}
const optionsOf = (folder: string) => ({folder, log: SILENT, metrics: createMetrics({version: ''})})

const USELESS: readonly [what: string, spoil: (file: string) => void, detail: RegExp][] = [
  ['nothing in it', file => truncateSync(file), /it does not begin as one/],
  ['half of it', file => truncateSync(file, statSync(file).size / 2), /not whole/],
  ['zeros, as after a power failure', file => writeFileSync(file, Buffer.alloc(4096)), /it does not begin as one/],
  ['too much', file => truncateSync(file, 17 << 20), /it has 17825792 bytes, and 16777216 are the most/],
  [
    'a folder in its place',
    file => {
      rmSync(file)
      mkdirSync(file)
    },
    /it is not a file/,
  ],
  [
    'a pipe in its place',
    file => {
      rmSync(file)
      execFileSync('mkfifo', [file])
    },
    /it is not a file/,
  ],
  [
    'a link that leads to itself',
    file => {
      rmSync(file)
      symlinkSync(file, file)
    },
    /ELOOP/,
  ],
  ['another version', file => writeFileSync(file, '{"version":3}'), /it has version 3; known is version 1/],
]

for (const [what, spoil, detail] of USELESS) {
  test.serial(`a file that cannot be used is told once, costs nothing and is replaced: ${what}`, async t => {
    const folder = temporary(t)
    const file = join(folder, 'nodes.json')
    await open(folder).saved.save(nodesOf(5))
    spoil(file)
    const {saved, told, metric} = open(folder)
    t.is(await load(saved), undefined)
    t.is(saved.count, 0)
    t.is(told.length, 1)
    t.regex(told[0]!, /^the saved nodes cannot be used; going on without them: /)
    t.regex(told[0]!, detail)
    t.is(await metric('errors_total', 'op="read"'), 1)
    const replaced = await saved.save(nodesOf(5))
    // Only a folder cannot be replaced by a file.
    t.is(replaced, !what.startsWith('a folder'))
    if (replaced) t.is((await load(open(folder).saved))?.items.size, 5)
  })
}

test.serial('no folder: told once, tried again, told when it is over', async t => {
  const folder = join(temporary(t), 'state')
  writeFileSync(folder, 'no folder')
  const {saved, told, metric} = open(folder)
  t.is(await load(saved), undefined)
  told.length = 0
  t.false(await saved.save(nodesOf(1)))
  t.false(await saved.save(nodesOf(1)))
  t.is(told.length, 1)
  t.regex(told[0]!, /^the nodes cannot be saved; trying again: /)
  t.is(await metric('errors_total', 'op="write"'), 2)
  rmSync(folder)
  t.true(await saved.save(nodesOf(1)))
  t.true(await saved.save(nodesOf(2)))
  t.is(told.length, 2)
  t.is(told[1], 'the nodes are saved again: ')
})

test.serial(
  'a disk that is full or read-only: told once, told when it is over, and the old file stays whole',
  async t => {
    const disk = temporary(t)
    const script = join(CHILDREN, 'full-disk.ts')
    const {stdout} = await promisify(execFile)('unshare', ['--mount', process.execPath, '--no-warnings', script, disk])
    t.deepEqual(JSON.parse(stdout), [
      'a disk: true',
      'the nodes cannot be saved; trying again ENOSPC',
      'full: false',
      'still full: false',
      'the nodes are saved again',
      'with room: true',
      'the nodes cannot be saved; trying again EROFS',
      'read-only: false',
      'the nodes are saved again',
      'writable: true',
      'netgraft_snapshot_errors_total{resource="nodes",op="read"} 0',
      'netgraft_snapshot_errors_total{resource="nodes",op="write"} 3',
    ])
  },
)

test.serial('more than can be read again is not written', async t => {
  const folder = temporary(t)
  const {saved, told} = open(folder)
  const [facts] = nodesOf(1).values()
  const long = {...facts!, problems: ['x'.repeat(17 << 20)]}
  t.false(await saved.save(new Map([[long.name, long]])))
  t.regex(told[0]!, /^the nodes cannot be saved; trying again: they are \d+ bytes, and 16777216 are the most$/)
  t.false(existsSync(join(folder, 'nodes.json')))
})

test.serial(
  'savings that are asked for together come one after the other; the end waits for them, but not for long',
  async t => {
    const folder = temporary(t)
    const {saved} = open(folder)
    const done: number[] = []
    const all = [1, 2, 3, 4, 5].map(i => saved.save(nodesOf(i * 10)).then(() => done.push(i)))
    const begun = performance.now()
    await saved.close()
    // A busy disk may take longer than it waits for.
    t.true(done.length === 5 || performance.now() - begun >= 900)
    await Promise.all(all)
    t.deepEqual(done, [1, 2, 3, 4, 5])
    t.is(checkNodeFile(readFileSync(join(folder, 'nodes.json'))).count, 50)
  },
)

test.serial('saving many nodes leaves the event loop its turns', async t => {
  const {saved} = open(temporary(t))
  const nodes = nodesOf(10_000)
  let turns = 0
  let saving = true
  const count = () => {
    turns++
    if (saving) setImmediate(count)
  }
  setImmediate(count)
  // Nothing is written the second time: all turns are of the making of the text.
  await saved.save(nodes)
  turns = 0
  await saved.save(nodes)
  saving = false
  t.true(turns >= 10, `${turns} turns`)
})

/** Throws when the file is not exactly what one saving has written. */
async function check(file: string): Promise<string> {
  const {body} = checkNodeFile(readFileSync(file))
  const nodes = [...(await parseBody(body)).values()]
  const marks = new Set(nodes.map(({machineId}) => machineId))
  const [mark = ''] = marks
  if (marks.size !== 1 || mark.split(' ')[2] !== `${nodes.length}`)
    throw new Error(`${nodes.length} nodes of ${[...marks].join()}`)
  return mark
}

async function startSaving(t: ExecutionContext, folder: string, round: number): Promise<ChildProcess> {
  const words = ['--no-warnings', join(CHILDREN, 'save.ts'), folder, `${round}`]
  const child = spawn(process.execPath, words, {stdio: ['ignore', 'pipe', 'inherit']})
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout!, 'data')
  return child
}

test.serial('kill -9 while it saves: the file is always whole, also for who reads meanwhile', async t => {
  const folder = temporary(t)
  const file = join(folder, 'nodes.json')
  const seen = new Set<string>()
  for (let round = 0; round < 20; round++) {
    // Two of them, as while one agent replaces another.
    const children = await Promise.all([startSaving(t, folder, round), startSaving(t, folder, round)])
    const until = performance.now() + Math.random() * 150
    while (performance.now() < until) {
      seen.add(await check(file))
      await wait(1)
    }
    for (const child of children) {
      child.kill('SIGKILL')
      await once(child, 'close')
      seen.add(await check(file))
    }
  }
  t.true(seen.size > 20, `${seen.size} different ones seen`)
  // What they left half-written is removed once it is too old to be under way.
  const leftovers = readdirSync(folder).filter(name => name !== 'nodes.json')
  t.log(`${seen.size} different files seen, ${leftovers.length} left half-written`)
  for (const name of leftovers.slice(1)) utimesSync(join(folder, name), 0, 0)
  t.true(await open(folder).saved.save(nodesOf(3)))
  t.is(readdirSync(folder).length, Math.min(leftovers.length, 1) + 1)
})
