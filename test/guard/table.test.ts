/** The table that guards tunnels, in the real kernel: as wanted, whoever has written in it. Needs root. */
import test from 'ava'
import fc from 'fast-check'
import {createGuard} from '../../src/guard/guard.ts'
import {GUARD_TABLE, type GuardFacts, rewrite, standing, wanted} from '../../src/guard/table.ts'
import {parseCidr, parseIp} from '../../src/model/ip.ts'
import {type Nft, NftError} from '../../src/model/nft.ts'
import {programIn} from '../masquerade/support.ts'
import {namespaces} from '../netlink/namespace.ts'

const facts = (more: Partial<GuardFacts> = {}): GuardFacts => ({
  ports: [8472, 8473],
  pods: ['10.64.2.0/24', '10.64.1.0/24', 'fd00:64:1::/64'].map(parseCidr),
  nodes: ['192.168.0.1', '192.168.0.2', '192.168.0.9', 'fd00::1'].map(parseIp),
  inside: [parseCidr('10.0.0.0/8')],
  ...more,
})

const NONE: GuardFacts = {ports: [], pods: [], nodes: [], inside: undefined}

const cidr = fc.oneof(
  fc.tuple(fc.nat(3), fc.nat(255), fc.integer({min: 9, max: 32})).map(([a, b, length]) => `10.${a}.${b}.0/${length}`),
  fc.tuple(fc.nat(9), fc.integer({min: 33, max: 128})).map(([a, length]) => `fd00:${a}::/${length}`),
)
const ip = fc.oneof(
  fc.nat(255).map(n => `192.168.0.${n}`),
  fc.nat(9999).map(n => `fd00:9::${n}`),
)

test('property: what is written reads as it is wanted', async t => {
  const [at] = await namespaces(t, 1)
  const nft = programIn(at)
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        ports: fc.uniqueArray(fc.integer({min: 1, max: 65535}), {minLength: 1, maxLength: 3}),
        pods: fc.array(cidr.map(parseCidr), {maxLength: 6}),
        nodes: fc.array(ip.map(parseIp), {maxLength: 6}),
        inside: fc.option(fc.array(cidr.map(parseCidr), {maxLength: 3}), {nil: undefined}),
      }),
      async each => {
        await nft.apply(rewrite(each))
        t.is(standing((await nft.list(GUARD_TABLE))!), wanted(each))
      },
    ),
    {numRuns: 25},
  )
})

/** In nft's own syntax. */
const DAMAGE: readonly string[] = [
  `delete table inet ${GUARD_TABLE}`,
  `flush table inet ${GUARD_TABLE}`,
  `flush chain inet ${GUARD_TABLE} input`,
  `insert rule inet ${GUARD_TABLE} forward accept`,
  `add element inet ${GUARD_TABLE} nodes4 { 10.64.1.7 }`,
  `delete element inet ${GUARD_TABLE} tunnels { 8472 }`,
  `flush set inet ${GUARD_TABLE} pods6`,
  `add chain inet ${GUARD_TABLE} mine`,
]

test('written once, and again after each change of somebody else', async t => {
  const [at] = await namespaces(t, 1)
  const look = createGuard(programIn(at))
  t.deepEqual(await look(facts()), {changed: true})
  t.deepEqual(await look(facts()), {changed: false})
  t.deepEqual(await createGuard(programIn(at))(facts()), {changed: false}, 'another process')
  for (const damage of DAMAGE) {
    at.exec('/usr/sbin/nft', damage)
    t.deepEqual(await look(facts()), {changed: true}, damage)
    t.deepEqual(await look(facts()), {changed: false}, damage)
  }
  t.deepEqual(await look(facts({pods: []})), {changed: true})
  t.deepEqual(await look(NONE), {changed: true})
  t.deepEqual(await look(NONE), {changed: false})
})

test('an nft that says the same in other words is not written to again', async t => {
  const [at] = await namespaces(t, 1)
  const real = programIn(at)
  const nft: Nft = {
    apply: real.apply,
    list: async table =>
      JSON.parse(JSON.stringify((await real.list(table)) ?? null).replaceAll('28263', '"0x6e67"')) ?? undefined,
  }
  const look = createGuard(nft)
  t.deepEqual(await look(facts()), {changed: true})
  t.deepEqual(await look(facts()), {changed: false})
})

test('what cannot be done is told, unless there is nothing to guard', async t => {
  const failing = (trouble: 'missing' | 'refused'): Nft => ({
    list: async () => {
      throw new NftError(trouble, `it is ${trouble}`)
    },
    apply: async () => {},
  })
  t.deepEqual(await createGuard(failing('missing'))(facts()), {changed: false, refused: 'it is missing'})
  t.deepEqual(await createGuard(failing('missing'))(NONE), {changed: false})
  t.deepEqual(await createGuard(failing('refused'))(NONE), {changed: false, refused: 'it is refused'})
})
