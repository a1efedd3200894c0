/** What host-local asks of the thread of files: how often, and what comes of it when a step fails. */
import {readdirSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import {CniError} from '../../../src/cni/error.ts'
import {hostLocal} from '../../../src/cni/ipam/host-local.ts'
import type {FileOutcome, FileStep, Files} from '../../../src/model/files.ts'
import {openFiles} from '../../../src/netlink/files.ts'
import {callOf, leasesIn, temporaryFolder} from './upstream.ts'

const files = await openFiles()

const configOf = (dataDir: string) => ({
  cniVersion: '1.0.0',
  name: 'net',
  type: 'bridge',
  ipam: {type: 'host-local', dataDir, ranges: [[{subnet: '10.1.0.0/16'}], [{subnet: 'fd00::/64'}]]},
})

const leases = async (dataDir: string): Promise<string[]> =>
  (await leasesIn(join(dataDir, 'net'))).filter(line => /^[\da-f]+[.:]/.test(line)).map(line => line.split(' ')[0]!)

const LOOKED = 'lock, stat'

test('one trip before the answer of an ADD and one behind it, two of a DEL', async t => {
  const dataDir = await temporaryFolder(t)
  const config = configOf(dataDir)
  const trips: string[] = []
  const it = hostLocal({
    files: {
      ...files,
      run: steps => {
        const trip = steps.map(step => step.do).join(', ')
        // Asked once more where the lock was held: by a child of a fork of this process, until its exec.
        if (trip !== LOOKED || trips.at(-1) !== LOOKED) trips.push(trip)
        return files.run(steps)
      },
    },
  })
  await it.add(callOf({id: 'a', config}))
  await it.check(callOf({id: 'a', config}))
  trips.length = 0
  await it.add(callOf({id: 'b', config}))
  await it.check(callOf({id: 'b', config}))
  await it.del(callOf({id: 'b', config}))
  await it.del(callOf({id: 'b', config}))
  await leasesIn(join(dataDir, 'net'))
  t.deepEqual(trips.slice(1), [
    'lock, stat, write at, link, link',
    'write, write, stamp, stat, close, unlink, create',
    'lock, stat',
    'close',
    'lock, stat',
    'unlink, unlink, stamp, stat, close',
    'lock, stat',
    'close',
  ])
})

/** Has the n-th step of that kind fail, without being tried. */
function failing(kind: FileStep['do'], n: number): Files {
  let left = n
  const run = async (steps: readonly FileStep[]): Promise<readonly FileOutcome[]> => {
    const at = steps.findIndex(step => step.do === kind && --left === 0)
    if (at < 0) return files.run(steps)
    const before = await files.run(steps.slice(0, at))
    const stopped = before.some(({code}, i) => code !== undefined && !steps[i]?.mayFail)
    const behind = steps.slice(at + 1)
    if (stopped) return [...before, ...[steps[at], ...behind].map(() => ({code: 'ECANCELED'}))]
    const rest = steps[at]?.mayFail ? await files.run(behind) : behind.map(() => ({code: 'ECANCELED'}))
    return [...before, {code: 'EIO'}, ...rest]
  }
  return {run, close: () => {}}
}

for (const kind of ['create', 'write', 'write at', 'link', 'unlink', 'stamp', 'stat', 'lock'] as const)
  test(`a failing ${kind} loses no address, gives none twice, and keeps no lock`, async t => {
    for (let n = 1; n <= 12; n++) {
      const dataDir = await temporaryFolder(t)
      const it = hostLocal({files: failing(kind, n)})
      const held = new Map<string, string>()
      const failed = new Set<string>()
      const attempt = async (id: string, work: Promise<unknown>) => {
        try {
          return await work
        } catch (error) {
          t.true(error instanceof CniError && error.code === 'io', String(error))
          failed.add(id)
          return undefined
        }
      }
      for (let i = 0; i < 5; i++) {
        const call = callOf({id: `c${i}`, config: configOf(dataDir)})
        const given = (await attempt(`c${i}`, it.add(call))) as {ips: {address: string}[]} | undefined
        for (const {address} of given?.ips ?? []) {
          const ip = address.split('/')[0]!
          t.false(held.has(ip))
          held.set(ip, `c${i}`)
        }
        if (i === 1) writeFileSync(join(dataDir, 'net/10.1.0.5'), 'somebody\r\neth0')
        if (i !== 3) continue
        await attempt('c0', it.del(callOf({id: 'c0', config: configOf(dataDir)})))
        await attempt('c0', it.del(callOf({id: 'c0', config: configOf(dataDir)})))
        for (const [ip, id] of held) if (id === 'c0') held.delete(ip)
      }
      // What was refused may still have an address until it is deleted, as the runtime does.
      for (const id of failed) {
        if (id === 'c0') continue
        await it.del(callOf({id, config: configOf(dataDir)}))
        for (const [ip, owner] of held) if (owner === id) held.delete(ip)
      }
      t.true(failed.size <= 1)
      t.deepEqual(await leases(dataDir), [...held.keys(), '10.1.0.5'].sort(), `the ${n}. ${kind}`)
    }
  })

test('what was taken on the word of an old memory is given back', async t => {
  const dataDir = await temporaryFolder(t)
  const config = configOf(dataDir)
  const it = hostLocal({files})
  await it.add(callOf({id: 'a', config}))
  await leasesIn(join(dataDir, 'net'))
  // The memory says that c has nothing, and that .3 is next.
  writeFileSync(join(dataDir, 'net/10.1.0.9'), 'c\r\neth0')
  await t.throwsAsync(it.add(callOf({id: 'c', config})), {message: /has 10\.1\.0\.9 of network "net" already/})
  t.deepEqual(await leases(dataDir), ['10.1.0.2', '10.1.0.9', 'fd00::2'])
  writeFileSync(join(dataDir, 'net/last_reserved_ip.0'), '10.1.0.20')
  rmSync(join(dataDir, 'net/10.1.0.9'))
  const {ips} = await it.add(callOf({id: 'd', config}))
  t.deepEqual(
    ips.map(({address}) => address),
    ['10.1.0.21/16', 'fd00::3/64'],
  )
  t.deepEqual(await leases(dataDir), ['10.1.0.2', '10.1.0.21', 'fd00::2', 'fd00::3'])
  t.is(readdirSync(dataDir).filter(name => name.endsWith('.lease')).length, 1)
})
