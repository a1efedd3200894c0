/** Versions that do not know each other: an agent older than the state folder, a plugin newer than the agent. Needs root. */
import {createHash} from 'node:crypto'
import {chmodSync, readdirSync, readFileSync, renameSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import {SHIM} from '../agent/support/cni.ts'
import {type Networks, startNetworks} from '../agent/support/networks.ts'
import {BUNDLE, built, run} from '../agent/support/node.ts'
import {anotherBuild, serving, temporary} from './support.ts'

test.before(built)

/** Every file below, by name, with what is in it. */
const contents = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder, {recursive: true, withFileTypes: true})
      .filter(entry => entry.isFile())
      .map(({parentPath, name}) => {
        const path = join(parentPath, name)
        return [path, createHash('sha256').update(readFileSync(path)).digest('hex')]
      })
      .sort(),
  )

/** `netgraft …words` with the agent's configuration. */
const cli = ({node}: Networks, ...words: string[]) =>
  run('ip', [
    'netns',
    'exec',
    node.namespace.name,
    process.execPath,
    BUNDLE,
    ...words,
    '--config',
    node.agent.config,
  ]).then(
    ({stdout}) => ({status: 0, text: stdout}),
    ({code, stdout, stderr}) => ({status: code as number, text: `${stdout}${stderr}`}),
  )

async function standing(t: ExecutionContext) {
  const networks = await startNetworks(t)
  const pod = await networks.start()
  const {node} = networks
  const state = node.agent.state
  await node.until(() => readdirSync(state).includes('nodes.json'))
  t.is(await node.agent.stop(), 0)
  return {networks, pod, node, state}
}

test('an agent that is older than its state folder does not start, says why, and changes nothing', async t => {
  t.timeout(180_000)
  const {networks, pod, node, state} = await standing(t)
  const [entry] = readdirSync(join(state, 'journal'))
  const files = [join(state, 'journal', entry!), join(state, 'nodes.json'), join(state, 'networks.json')]
  for (const path of files) {
    const text = readFileSync(path, 'utf8')
    t.true(text.startsWith('{"version":1,'), text)
    writeFileSync(path, text.replace('{"version":1,', '{"version":2,'))
    const before = contents(state)
    const heard = await node.monitor('all')
    node.agent.start()
    t.is(await node.agent.ended(), 3, path)
    const sentence =
      `${path} has version 2, and this agent knows versions up to 1: a newer agent has run here; ` +
      'run that one again, or drain the node and empty the state folder before this one runs'
    t.is(node.agent.stderr.trim(), `netgraft: ${sentence}`)
    t.deepEqual(
      node.agent.logs.map(({level, msg, detail}) => ({level, msg, detail})),
      [{level: 'fatal', msg: 'not starting: the state folder is of a newer agent', detail: sentence}],
    )
    t.deepEqual(
      (await heard()).filter(line => !/NEIGH|FAILED|STALE|REACHABLE|PROBE|DELAY/.test(line)),
      [],
    )
    t.deepEqual(contents(state), before)
    for (const verb of ['status', 'explain']) {
      const told = await cli(networks, verb, ...(verb === 'explain' ? ['eth0'] : []))
      t.is(told.status, 2, told.text)
      t.true(told.text.includes(`one of this version will not start: ${sentence}`), told.text)
    }
    const bin = temporary(t)
    const installed = await cli(networks, 'install', '--cni-bin', bin, '--cni-conf', bin)
    t.deepEqual(installed, {status: 3, text: `netgraft: ${sentence}\n`})
    t.deepEqual(readdirSync(bin), [])
    const looked = await cli(networks, 'check', '-o', 'json')
    t.is(looked.status, 1)
    const checks = JSON.parse(looked.text).checks as {name: string; says: string}[]
    t.true(checks.some(({name, says}) => name === 'state folder' && says === sentence))
    writeFileSync(path, text)
  }
  // The newer one runs again.
  node.agent.start()
  await networks.runtime.serving()
  await networks.runtime.succeeds('DEL', pod)
  await networks.runtime.clean()
})

test('what a newer agent writes while an older one waits for it is not touched; readiness tells', async t => {
  t.timeout(180_000)
  const networks = await startNetworks(t)
  const {node} = networks
  const pod = await networks.start()
  const older = node.secondAgent()
  older.start()
  await node.until(() => older.logs.some(({msg}) => msg === 'listed'))
  const journal = join(node.agent.state, 'journal')
  const path = join(journal, 'f00d@eth0.json')
  writeFileSync(path, '{"version":7,"what":"ever"}\n')
  await node.agent.kill('SIGTERM')
  await node.until(async () => (await older.http('/readyz'))?.body.includes(`${path} has version 7`))
  const answer = await older.http('/readyz')
  t.is(answer!.status, 503)
  t.regex(
    answer!.body,
    /cni: it cannot be opened: .*f00d@eth0\.json has version 7, and this agent knows versions up to 1: /,
  )
  const told = await cli(networks, 'status')
  t.regex(told.text, /has version 7/)
  t.is(readFileSync(path, 'utf8'), '{"version":7,"what":"ever"}\n')
  renameSync(path, join(node.agent.state, 'aside'))
  await serving(node, older)
  await networks.runtime.succeeds('DEL', pod)
  await networks.runtime.clean()
  t.is(await older.kill('SIGTERM'), 0)
})

test('a plugin that is newer than the agent waits for the newer agent; its DEL is kept for that one', async t => {
  t.timeout(180_000)
  const networks = await startNetworks(t)
  const {node, runtime} = networks
  const [pod, gone] = [await networks.declare(), await networks.start()]
  // The next version of both.
  const folder = temporary(t)
  runtime.program = join(folder, 'netgraft-cni')
  writeFileSync(
    runtime.program,
    Buffer.from(readFileSync(SHIM).toString('latin1').replaceAll('NGQ1', 'NGQ2'), 'latin1'),
  )
  chmodSync(runtime.program, 0o755)
  const bundle = anotherBuild(t, '0.2.0')
  writeFileSync(bundle, readFileSync(bundle, 'utf8').replaceAll('"NGQ1"', '"NGQ2"'))

  const {config, env} = networks.asked(gone)
  t.deepEqual(await runtime.call('DEL', gone, {config: config!, env: env!}), {status: 0, stdout: ''})
  const [kept] = readdirSync(runtime.spool)
  t.regex(kept!, /\.del$/)
  await node.says('a spooled DEL is not carried out', 'is left to a newer agent')
  t.deepEqual(readdirSync(runtime.spool), [kept!])
  const added = networks.wire(pod)
  await node.says('a request on the CNI socket is refused', 'is left to a newer agent')
  await sleep(500)
  await node.agent.stop()
  t.is(
    node.agent.logs.filter(line => JSON.stringify(line).includes('CNI socket is refused')).length,
    1,
    'it asks all the time, and that is told once',
  )
  node.agent.bundle = bundle
  node.agent.start()
  await networks.has(await added)
  await node.until(() => readdirSync(runtime.spool).length === 0)
  await runtime.succeeds('DEL', pod)
  await runtime.clean()
})
