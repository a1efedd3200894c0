import test from 'ava'
import fc from 'fast-check'
import {CniError} from '../../../src/cni/error.ts'
import {gatewayOf, nodeLocal, ownerOf} from '../../../src/cni/ipam/node-local.ts'
import type {PluginCall} from '../../../src/cni/plugin.ts'
import {parseCidr, parseIp} from '../../../src/model/ip.ts'

const callOf = (containerId: string, ipam: object = {}): PluginCall => ({
  containerId,
  ifname: 'eth0',
  netns: '/run/netns/x',
  args: '',
  path: [],
  config: {cniVersion: '1.0.0', name: 'pods', type: 'ptp', ipam: {type: 'node-local', ...ipam}},
  sandbox: undefined,
  signal: new AbortController().signal,
  later: () => {},
})

const owner = (containerId: string): string => ownerOf({containerId, ifname: 'eth0'})

/** With what `ips` says of its addresses: "address gateway". */
function poolOf(...ranges: string[]) {
  let current = ranges
  const pool = nodeLocal(async () => current.map(parseCidr))
  return {
    pool,
    move: (...to: string[]) => {
      current = to
    },
    add: async (containerId: string, ipam?: object): Promise<string[]> =>
      (await pool.add(callOf(containerId, ipam))).ips.map(({address, gateway}) => `${address} ${gateway}`),
    del: (containerId: string) => pool.del(callOf(containerId)),
  }
}

test('one address of each range, with the range and its gateway', async t => {
  const {pool} = poolOf('10.1.2.0/24', 'fd00:1::/64')
  t.deepEqual(await pool.add(callOf('a', {routes: [{dst: '0.0.0.0/0'}, {dst: '::/0', gw: 'fd00:1::1'}]})), {
    interfaces: [],
    ips: [
      {address: '10.1.2.2/24', gateway: '10.1.2.1'},
      {address: 'fd00:1::2/64', gateway: 'fd00:1::1'},
    ],
    routes: [{dst: '0.0.0.0/0'}, {dst: '::/0', gw: 'fd00:1::1'}],
    dns: {},
  })
  t.is(pool.size, 2)
})

test('every address of a range but the network, the gateway and the broadcast address, then a plain refusal', async t => {
  const rows: readonly [range: string, first: string, last: string, count: number][] = [
    ['10.0.0.0/30', '10.0.0.2', '10.0.0.2', 1],
    ['10.0.0.248/29', '10.0.0.250', '10.0.0.254', 5],
    ['10.0.255.0/24', '10.0.255.2', '10.0.255.254', 253],
    ['10.0.0.0/23', '10.0.0.2', '10.0.1.254', 509],
    ['fd00::/126', 'fd00::2', 'fd00::3', 2],
    ['fd00::ff00/120', 'fd00::ff02', 'fd00::ffff', 254],
  ]
  for (const [range, first, last, count] of rows) {
    const {pool, add, del} = poolOf(range)
    const got: string[] = []
    for (let n = 0; n < count; n++) got.push(...(await add(`c${n}`)))
    const text = (address: string) => `${address}/${range.split('/')[1]} ${gatewayOf(parseCidr(range))}`
    t.is(got[0], text(first))
    t.is(got.at(-1), text(last))
    t.is(new Set(got).size, count)
    await t.throwsAsync(add('late'), {
      instanceOf: CniError,
      message: `no address is free in this node's pod range ${range}: all ${count} are in use`,
    })
    t.is(pool.size, count)
    await del('c0')
    t.deepEqual(await add('late'), [text(first)])
  }
})

test('ranges without room for a pod', async t => {
  for (const range of ['10.0.0.0/31', '10.0.0.1/32', 'fd00::/127', 'fd00::1/128'])
    await t.throwsAsync(poolOf(range).add('a'), {
      message: `this node's pod range ${parseCidr(range)} is too small for a gateway and a pod; give it a wider one`,
    })
})

test('when one family has none left, the other keeps its own', async t => {
  const {pool, add, del} = poolOf('fd00::/64', '10.0.0.0/30')
  await add('a')
  await t.throwsAsync(add('b'), {message: /10\.0\.0\.0\/30/})
  t.is(pool.size, 2)
  await del('a')
  t.is(pool.size, 0)
  t.deepEqual(
    (await add('b')).map(each => each.split('/')[0]),
    ['fd00::4', '10.0.0.2'],
  )
})

test('an address rests until its range has been gone through', async t => {
  const {add, del} = poolOf('10.0.0.0/29')
  const got: string[] = []
  for (let n = 0; n < 11; n++) {
    got.push(...(await add(`c${n}`)))
    await del(`c${n}`)
  }
  t.is(got.map(each => /\d(?=\/)/.exec(each)![0]).join(''), '23456234562')
})

test('an owner has its addresses once', async t => {
  const {pool, add, del} = poolOf('10.0.0.0/24')
  await add('a')
  const again = {instanceOf: CniError, message: 'eth0 of container a has an address of this node already'}
  await t.throwsAsync(add('a'), again)
  t.is(pool.size, 1)
  const both = await Promise.allSettled([add('b'), add('b')])
  t.deepEqual(both.map(({status}) => status).toSorted(), ['fulfilled', 'rejected'])
  t.is(pool.size, 2)
  await pool.check(callOf('a'))
  await del('a')
  await del('a')
  await t.throwsAsync(pool.check(callOf('a')), {message: 'eth0 of container a has no address of this node'})
  await add('a')
})

test('what stood before is not given to anybody, whatever it is written like, and the next are behind it', async t => {
  const {pool, add, del} = poolOf('10.0.0.0/29', 'fd00::/125')
  pool.restore(owner('old'), ['10.0.0.2/29', 'FD00:0::0003/125'])
  pool.restore(owner('older'), ['10.0.0.4', 'no address'])
  const got = [await add('a'), await add('b')].flat()
  t.deepEqual(
    got.map(each => each.split('/')[0]),
    ['10.0.0.3', 'fd00::4', '10.0.0.5', 'fd00::5'],
  )
  await t.throwsAsync(add('old'), {message: /has an address of this node already/})
  await pool.check(callOf('old'))
  await del('old')
  await del('older')
  t.is(pool.size, 4)
  t.deepEqual(
    (await add('c')).map(each => each.split('/')[0]),
    ['10.0.0.6', 'fd00::6'],
  )
})

test('an address that two are said to have stays with one of them when the other goes', async t => {
  const {pool, add, del} = poolOf('10.0.0.0/30')
  pool.restore(owner('x'), ['10.0.0.2'])
  pool.restore(owner('y'), ['10.0.0.2'])
  await del('x')
  await t.throwsAsync(add('a'), {message: /no address is free/})
  await del('y')
  t.deepEqual(await add('a'), ['10.0.0.2/30 10.0.0.1'])
})

test('a node whose range has changed gives addresses of the new one, and lets the old ones go in peace', async t => {
  const {pool, add, del, move} = poolOf('10.0.0.0/29')
  await add('a')
  pool.restore(owner('old'), ['10.9.9.9/24'])
  move('10.0.0.0/28', 'fd00::/64')
  t.deepEqual(
    (await add('b')).map(each => each.split('/')[0]),
    ['10.0.0.3', 'fd00::2'],
  )
  await del('a')
  await del('old')
  t.is(pool.size, 2)
})

test('what the config says is checked', async t => {
  const rows: readonly [ipam: object, message: string][] = [
    [{network: 1}, 'ipam.network must be the name of a pod network'],
    [{routes: 'x'}, 'ipam.routes must be a list'],
    [{routes: [null]}, 'ipam.routes[0].dst must be a prefix'],
    [{routes: [{dst: '::/0'}, {gw: '::1'}]}, 'ipam.routes[1].dst must be a prefix'],
    [{routes: [{dst: '::/0', gw: 1}]}, 'ipam.routes[0].gw must be an address'],
  ]
  const {pool, add} = poolOf('10.0.0.0/24')
  for (const [ipam, message] of rows) await t.throwsAsync(add('a', ipam), {instanceOf: CniError, message})
  t.is(pool.size, 0)
  t.true(pool.knows(callOf('a', {routes: [], network: 'x'}).config))
  t.false(pool.knows(callOf('a', {ranges: []}).config))
})

test('the ranges are those of the network that is asked for, and may be unknown', async t => {
  const asked: unknown[] = []
  const unknown = new CniError('tryAgainLater', 'not yet')
  const pool = nodeLocal(async (network, signal) => {
    asked.push(network, signal)
    throw unknown
  })
  const call = callOf('a', {network: 'blue'})
  t.is(await t.throwsAsync(pool.add(call)), unknown)
  t.deepEqual(asked, ['blue', call.signal])
})

const step = fc.record({verb: fc.constantFrom('add', 'add', 'del', 'restore'), who: fc.integer({min: 0, max: 9})})
const ranges = fc.constantFrom(
  ['10.0.0.0/30'],
  ['10.0.0.0/29'],
  ['10.0.0.0/28', 'fd00::/125'],
  ['fd00::/126', '10.0.0.0/24'],
  ['fd00::/64'],
  ['10.0.0.0/29', '10.0.0.8/29'],
)

test('property: whatever comes and goes, no address is given twice, and none is refused while one is free', async t => {
  await fc.assert(
    fc.asyncProperty(ranges, fc.array(step, {maxLength: 60}), async (cidrs, steps) => {
      const {pool, add, del} = poolOf(...cidrs)
      const model = new Map<string, string[]>()
      const held = () => new Set([...model.values()].flat())
      const room = cidrs.map(parseCidr).map(range => {
        const size = 2 ** ((range.family === 4 ? 32 : 128) - range.length)
        return {range, count: size - (range.family === 4 ? 3 : 2)}
      })
      const hasRoom = () =>
        room.every(({range, count}) => {
          const used = [...held()].filter(each => range.contains(parseIp(each)))
          return used.length < count
        })
      for (const {verb, who} of steps) {
        const name = `c${who}`
        if (verb === 'del') {
          await del(name)
          model.delete(name)
        } else if (model.has(name)) await t.throwsAsync(add(name), {message: /already/})
        else if (verb === 'restore') {
          const last = parseCidr(cidrs[0]!).family === 4 ? '10.0.0.2' : 'fd00::2'
          if (held().has(last)) continue
          pool.restore(owner(name), [`${last}/${cidrs[0]!.split('/')[1]}`])
          model.set(name, [last])
        } else if (hasRoom()) {
          const got = (await add(name)).map(each => each.split('/')[0]!)
          t.is(got.length, cidrs.length)
          for (const [i, address] of got.entries()) {
            const {range} = room[i]!
            const ip = parseIp(address)
            t.true(range.contains(ip))
            t.false(held().has(address))
            t.false([`${range.address}`, `${gatewayOf(range)}`].includes(address))
            if (range.family === 4) t.not(ip.bytes[3]! & ~(0xff << (32 - range.length)), 2 ** (32 - range.length) - 1)
          }
          model.set(name, got)
        } else await t.throwsAsync(add(name), {message: /no address is free/})
        t.is(pool.size, held().size)
      }
    }),
    {numRuns: 300},
  )
})
