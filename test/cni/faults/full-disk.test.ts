/** The journal's disk is full, in truth: a small one of its own. Needs root. */
import {mkdir, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import test from 'ava'
import {keyOf} from '../../../src/cni/journal.ts'
import {AgentProcess, bundleAgent, removeBundle} from './agent.ts'
import type {Report} from './child/agent.ts'
import {NETWORKS} from './networks.ts'
import {faultyNode, type Pod, same} from './node.ts'

let program: string
test.before(async () => {
  program = await bundleAgent()
})
test.after.always(() => removeBundle(program))

/** Bytes. What a file takes of a tmpfs at a time. */
const PAGE = 4096
const PAGES = 16

test('an ADD that cannot be written down is undone, a DEL is done, and all is well when there is room again', async t => {
  const node = await faultyNode(t, NETWORKS[0]!)
  const {folder, keepers, look, sandbox} = node
  const state = join(folder, 'state')
  await mkdir(state)
  const agent = new AgentProcess(t, program, {...node.options, netns: node.host.path, disk: PAGES * PAGE})
  await agent.order({op: 'open'})
  const seen = join(agent.root, state)
  const journal = () => readdir(join(seen, 'journal')).then(names => names.sort())
  const page = join(seen, 'page')
  /** `padding`: bytes that its plan has more. */
  const ask = async (verb: 'ADD' | 'DEL', pod: Pod, padding = 0): Promise<Report> => {
    const order = node.asks(verb, pod)
    const env = {...order.env, CNI_ARGS: 'x'.repeat(padding).replace(/^./, 'X=')}
    return (await agent.order({...order, env}))!
  }
  const fails = ({status, body}: Report) => {
    t.is(status, 1)
    const {code, msg} = JSON.parse(body!)
    t.is(code, 100)
    t.regex(msg, /journal\/.* cannot be written: ENOSPC.*its file system needs looking after$/)
  }
  const works = ({status, body}: Report) => t.is(status, 0, body)

  for (const pod of keepers) works(await ask('ADD', pod))
  // How long its lines are.
  const measured = sandbox()
  works(await ask('ADD', measured))
  const file = join(seen, 'journal', `${keyOf({containerId: measured.id, ifname: 'eth0'})}.json`)
  const [plan, added] = (await readFile(file, 'utf8')).split('\n').map(line => line.length + 1) as [number, number]
  works(await ask('DEL', measured))
  const base = await look()
  const names = await journal()

  await writeFile(page, Buffer.alloc(PAGE))
  const filled = writeFile(join(seen, 'filler'), Buffer.alloc(PAGES * PAGE))
  await t.throwsAsync(filled, {code: 'ENOSPC'})
  fails(await ask('ADD', sandbox()))
  same(await look(), base, 'nothing could be written')
  t.deepEqual(await journal(), names)

  // The plan has room, the result has none.
  await rm(page)
  fails(await ask('ADD', sandbox(), PAGE - plan - 10))
  same(await look(), base, 'the plan could be written')
  t.deepEqual(await journal(), names)

  // Both have room; that it is to be removed has none.
  const full = sandbox()
  works(await ask('ADD', full, PAGE - plan - added - 4))
  t.is((await readdir(join(seen, 'journal'))).length, names.length + 1)
  const {troubles, ...deleted} = await ask('DEL', full)
  works({...deleted, troubles})
  t.true(
    troubles.some(line => /cannot be written; a removal goes on/.test(line)),
    troubles.join('\n'),
  )
  same(await look(), base, 'DEL on a full disk')
  t.deepEqual(await journal(), names)

  await rm(join(seen, 'filler'))
  const pod = sandbox()
  works(await ask('ADD', pod))
  works(await ask('DEL', pod))
  same(await look(), base, 'with room again')
  t.deepEqual(await journal(), names)
})
