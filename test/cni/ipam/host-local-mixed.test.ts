/** Many at once on one folder, ours and the program: no address twice, none lost, none left behind by who is killed. */
import {spawn} from 'node:child_process'
import {readdir, readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import test from 'ava'
import {hostLocal} from '../../../src/cni/ipam/host-local.ts'
import {fileLocks} from '../../../src/netlink/file-lock.ts'
import {openFiles} from '../../../src/netlink/files.ts'
import {type Outcome, ours, temporaryFolder, theirs} from './upstream.ts'

const CHILD = join(import.meta.dirname, 'child-allocate.ts')

const files = await openFiles()

const configOf = (dataDir: string, subnet = '10.1.0.0/16') => ({
  cniVersion: '1.0.0',
  name: 'net',
  type: 'bridge',
  ipam: {type: 'host-local', dataDir, ranges: [[{subnet}], [{subnet: 'fd00::/64'}]]},
})

const addressesOf = (outcome: Outcome): string[] =>
  'ok' in outcome ? (outcome.ok as {ips: {address: string}[]}).ips.map(({address}) => address.split('/')[0]!) : []

/** Address to owner; each is whole. */
async function leases(dataDir: string): Promise<Map<string, string>> {
  const lock = await fileLocks.acquire(join(dataDir, 'net/lock'), AbortSignal.timeout(300_000))
  const names = (await readdir(join(dataDir, 'net'))).filter(name => /^[\da-f.:]+$/.test(name))
  const read = async (name: string) =>
    [name, (await readFile(join(dataDir, 'net', name), 'utf8')).split('\r\n')[0]!] as const
  const found = new Map(await Promise.all(names.map(read)))
  await lock.release()
  return found
}

test('ours and the program, in turns', async t => {
  const dataDir = await temporaryFolder(t)
  const plugin = hostLocal({files})
  const held = new Map<string, string>()
  for (let i = 0; i < 40; i++) {
    const add = {verb: 'ADD', id: `c${i}`, config: configOf(dataDir)} as const
    const outcome = i % 2 === 0 ? await ours(plugin, add) : await theirs('host-local', add)
    t.deepEqual(addressesOf(outcome), [`10.1.0.${i + 2}`, `fd00::${(i + 2).toString(16)}`])
    for (const address of addressesOf(outcome)) held.set(address, add.id)
    if (i % 4 < 2) continue
    // Each gives back what the other has taken.
    const del = {...add, verb: 'DEL'} as const
    t.deepEqual(i % 2 === 0 ? await theirs('host-local', del) : await ours(plugin, del), {ok: {}})
    for (const address of addressesOf(outcome)) held.delete(address)
  }
  t.deepEqual(new Map([...(await leases(dataDir))].sort()), new Map([...held].sort()))
})

test('100 of ours and 40 programs at once', async t => {
  const dataDir = await temporaryFolder(t)
  const plugin = hostLocal({files})
  const request = (verb: 'ADD' | 'DEL', id: string) => ({verb, id, config: configOf(dataDir)}) as const
  const held = new Map<string, string>()
  const one = async (id: string, run: (verb: 'ADD' | 'DEL') => Promise<Outcome>, keep: boolean) => {
    const addresses = addressesOf(await run('ADD'))
    t.is(addresses.length, 2)
    if (keep) for (const address of addresses) held.set(address, id)
    else t.deepEqual(await run('DEL'), {ok: {}})
  }
  const programs = async (worker: number) => {
    for (let i = 0; i < 5; i++)
      await one(`p${worker}-${i}`, verb => theirs('host-local', request(verb, `p${worker}-${i}`)), i % 2 === 0)
  }
  await Promise.all([
    ...Array.from({length: 8}, (_, worker) => programs(worker)),
    ...Array.from({length: 100}, (_, i) => one(`o${i}`, verb => ours(plugin, request(verb, `o${i}`)), i % 3 > 0)),
  ])
  t.is(held.size, 2 * (8 * 3 + 66))
  t.deepEqual(new Map([...(await leases(dataDir))].sort()), new Map([...held].sort()))
})

test('a small range in which all fight for the last address', async t => {
  const dataDir = await temporaryFolder(t)
  const config = {...configOf(dataDir, '10.1.0.0/28')}
  const plugins = [hostLocal({files}), hostLocal({files})]
  const outcomes = await Promise.all(
    Array.from({length: 30}, (_, i) => {
      const add = {verb: 'ADD', id: `c${i}`, config} as const
      return i % 3 === 0 ? theirs('host-local', add) : ours(plugins[i % 2]!, add)
    }),
  )
  const given = outcomes.flatMap(addressesOf)
  t.is(outcomes.filter(outcome => 'ok' in outcome).length, 13)
  t.is(new Set(given).size, 26)
  t.deepEqual([...(await leases(dataDir)).keys()].sort(), given.sort())
})

test('processes that are killed leave whole leases, and what they said stands', async t => {
  const dataDir = await temporaryFolder(t)
  const said = new Map<string, string>()
  await Promise.all(
    Array.from({length: 6}, async (_, i) => {
      const child = spawn(process.execPath, [CHILD, dataDir, `k${i}`, '100000'], {stdio: ['ignore', 'pipe', 'inherit']})
      let output = ''
      child.stdout.setEncoding('utf8').on('data', text => (output += text))
      const closed = new Promise(resolve => child.on('close', resolve))
      while (output.split('\n').length < 40) await sleep(1)
      await sleep(Math.random() * 5)
      child.kill('SIGKILL')
      await closed
      for (const line of output.split('\n').slice(0, -1)) {
        const [address = '', id = ''] = line.split(' ')
        t.false(said.has(address), `${address} was given to ${said.get(address)} and to ${id}`)
        said.set(address.split('/')[0]!, id)
      }
    }),
  )
  const found = await leases(dataDir)
  for (const [address, id] of said) t.is(found.get(address), id)
  for (const [address, id] of found) t.regex(id, /^k\d-\d+$/, `${address} is of ${id}`)
  // Of each that was killed at most what it was about at that moment is more.
  t.true(found.size <= said.size + 2 * 6)

  const plugin = hostLocal({files})
  for (const id of new Set(found.values()))
    t.deepEqual(await ours(plugin, {verb: 'DEL', id, config: configOf(dataDir)}), {ok: {}})
  t.is((await leases(dataDir)).size, 0)
})
