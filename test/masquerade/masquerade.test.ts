/** The table in the real kernel: always as wanted, whoever else writes and whenever the agent dies. Needs root. */
import test from 'ava'
import fc from 'fast-check'
import {desired, type Pod} from '../../src/masquerade/desired.ts'
import {createMasquerade, MasqueradeRefused} from '../../src/masquerade/masquerade.ts'
import {InvalidInput} from '../../src/model/errors.ts'
import {type Nft, type NftCommand, NftError} from '../../src/model/nft.ts'
import {nftProgram} from '../../src/netlink/nft.ts'
import {namespaces} from '../netlink/namespace.ts'
import {facts, format, listed, NFT, pod, programIn, script, standing} from './support.ts'

const FACTS = facts(['10.1.0.0/24', 'fd00:1::/64'], ['10.0.0.0/8', '192.0.2.1/32', 'fd00:1::/48'])
const PODS = [pod('10.9.0.5', '10.9.0.0/24'), pod('fd00:9::5', 'fd00:9::/64'), pod('10.9.0.6', '10.9.0.6/32')]

/** Counts what goes through. */
function counting(nft: Nft) {
  const calls = {list: 0, apply: 0}
  const counted: Nft = {
    list: table => {
      calls.list++
      return nft.list(table)
    },
    apply: commands => {
      calls.apply++
      return nft.apply(commands)
    },
  }
  return {calls, nft: counted}
}

test('a restart writes nothing', async t => {
  const [at] = await namespaces(t, 1)
  const {nft, calls} = counting(programIn(at))
  const first = createMasquerade(nft)
  first.restore(new Map())
  await first.add('a', PODS)
  const report = await first.reconcile(FACTS)
  t.is(report.refused, undefined)
  t.is(await standing(nft), format(desired(FACTS, PODS)))
  t.like(report, {own: 2, skip: 10, pods: 3})
  const text = listed(at)

  calls.apply = 0
  const second = createMasquerade(nft)
  t.like(await second.reconcile(undefined), {changed: 0})
  second.restore(new Map([['a', PODS]]))
  t.like(await second.reconcile(undefined), {changed: 0})
  t.like(await second.reconcile(FACTS), {changed: 0})
  t.is(calls.apply, 0)
  t.is(listed(at), text)
})

test('nothing wanted: no table, and none is left', async t => {
  const [at] = await namespaces(t, 1)
  const nft = programIn(at)
  const masquerade = createMasquerade(nft)
  masquerade.restore(new Map())
  t.like(await masquerade.reconcile(facts([], ['10.0.0.0/8'])), {changed: 0})
  t.is(await standing(nft), undefined)
  await masquerade.reconcile(FACTS)
  t.truthy(await standing(nft))
  await masquerade.reconcile(facts([]))
  t.is(await standing(nft), undefined)
})

test('what is not known yet stays as it was', async t => {
  const [at] = await namespaces(t, 1)
  const nft = programIn(at)
  const before = createMasquerade(nft)
  await before.add('old', PODS)
  await before.reconcile(FACTS)

  const after = createMasquerade(nft)
  const fresh = pod('10.8.0.1', '10.8.0.0/16')
  await after.add('new', [fresh])
  t.is(await standing(nft), format(desired(FACTS, [...PODS, fresh])), 'neither nodes nor owners are known')
  await after.reconcile(facts(['10.1.0.0/24']))
  t.is(await standing(nft), format(desired(facts(['10.1.0.0/24']), [...PODS, fresh])), 'owners are not')
  await after.remove('old')
  after.restore(new Map([['old', PODS]]))
  await after.reconcile(undefined)
  t.is(await standing(nft), format(desired(facts(['10.1.0.0/24']), [fresh])), 'removed before it was restored')
})

/** In nft's own syntax: what somebody may do to our table. */
const DAMAGE: readonly string[] = [
  'flush ruleset',
  'delete table inet netgraft',
  'flush table inet netgraft',
  'flush chain inet netgraft postrouting',
  'insert rule inet netgraft postrouting accept',
  'add rule inet netgraft postrouting counter',
  'add rule inet netgraft beyond-10.9.0.0/24 accept',
  'flush chain inet netgraft beyond-10.9.0.0/24',
  'flush set inet netgraft skip4',
  'add element inet netgraft skip4 { 203.0.113.0/24 }',
  'add element inet netgraft own6 { 2001:db8::7 }',
  'delete element inet netgraft own4 { 10.1.0.0/24 }',
  'delete element inet netgraft pods4 { 10.9.0.5 }',
  'add element inet netgraft pods4 { 10.9.0.7 : accept }',
  'add element inet netgraft pods4 { 10.9.0.7 : jump beyond-10.9.0.0/24 }',
  'delete element inet netgraft pods4 { 10.9.0.5 }; add element inet netgraft pods4 { 10.9.0.5 : jump beyond-10.9.0.6/32 }',
  'add chain inet netgraft mine; add rule inet netgraft mine drop',
  'add chain inet netgraft beyond-10.7.0.0/24',
  'add chain inet netgraft beyond-strange',
  'add chain inet netgraft early { type filter hook prerouting priority -5; policy drop; }',
  'add set inet netgraft mine { type ipv4_addr; }',
  'add counter inet netgraft mine',
  'add table inet netgraft { flags dormant; }',
  'delete table inet netgraft; add table inet netgraft; add chain inet netgraft postrouting',
  'delete table inet netgraft; add table inet netgraft; add set inet netgraft own4 { type ipv4_addr; timeout 5m; elements = { 10.0.0.1 }; }',
]

test('whatever somebody does to the table, the next pass puts it right', async t => {
  const [at] = await namespaces(t, 1)
  const nft = programIn(at)
  const masquerade = createMasquerade(nft)
  masquerade.restore(new Map([['a', PODS]]))
  await masquerade.reconcile(FACTS)
  const whole = listed(at)
  for (const damage of DAMAGE) {
    script(at, damage)
    const {refused, changed} = await masquerade.reconcile(undefined)
    t.is(refused, undefined, damage)
    t.true(changed > 0, damage)
    t.deepEqual(lines(listed(at)), lines(whole), damage)
    t.like(await masquerade.reconcile(undefined), {changed: 0}, damage)
  }
})

/** Chains may stand in another order, which means nothing. */
const lines = (text: string): string[] =>
  text
    .split('\n')
    .map(line => line.trim())
    .sort()

test('pods come and go after any damage', async t => {
  const [at] = await namespaces(t, 1)
  const nft = programIn(at)
  const masquerade = createMasquerade(nft)
  masquerade.restore(new Map([['a', PODS]]))
  await masquerade.reconcile(FACTS)
  const more = [pod('10.9.0.8', '10.9.0.0/24'), pod('10.6.0.1', '10.6.0.0/24')]
  for (const damage of DAMAGE) {
    script(at, damage)
    await masquerade.add('b', more)
    await masquerade.reconcile(undefined)
    t.is(await standing(nft), format(desired(FACTS, [...PODS, ...more])), damage)
    script(at, damage)
    await masquerade.remove('b')
    await masquerade.reconcile(undefined)
    t.is(await standing(nft), format(desired(FACTS, PODS)), damage)
  }
})

test("other people's tables stay as they are", async t => {
  const [at] = await namespaces(t, 1)
  script(
    at,
    `table ip netgraft { chain postrouting { type nat hook postrouting priority 100; ip saddr 1.2.3.4 masquerade; }; }
     table inet netgraft-other { set own4 { type ipv4_addr; elements = { 1.2.3.4 }; }; }
     table ip6 nat { chain c { accept; }; }`,
  )
  const others = at.exec(NFT, 'list', 'ruleset')
  const masquerade = createMasquerade(programIn(at))
  masquerade.restore(new Map())
  await masquerade.reconcile(FACTS)
  await masquerade.add('a', PODS)
  script(at, 'delete table inet netgraft')
  await masquerade.remove('a')
  await masquerade.reconcile(facts([]))
  t.is(at.exec(NFT, 'list', 'ruleset'), others)
})

test('pods that come together share a call, and so do those that come meanwhile', async t => {
  const [at] = await namespaces(t, 1)
  const {nft, calls} = counting(programIn(at))
  const masquerade = createMasquerade(nft)
  masquerade.restore(new Map())
  await masquerade.reconcile(FACTS)
  Object.assign(calls, {list: 0, apply: 0})
  const pods = Array.from({length: 500}, (_, i) => pod(`10.9.${i >> 8}.${i & 255}`, `10.9.${i >> 8}.0/24`))
  const add = (each: Pod, i: number) => masquerade.add(`pod ${i}`, [each])
  const first = pods.slice(0, 100).map(add)
  await new Promise(setImmediate)
  const rest = pods.slice(100).map((each, i) => add(each, i + 100))
  await Promise.all([...first, ...rest])
  t.deepEqual(calls, {list: 0, apply: 2})
  t.is(await standing(nft), format(desired(FACTS, pods)))

  await Promise.all(pods.slice(1).map((_, i) => masquerade.remove(`pod ${i + 1}`)))
  t.is(calls.apply, 3)
  t.is(await standing(nft), format(desired(FACTS, pods.slice(0, 1))))
  t.false(listed(at).includes('beyond-10.9.1.0/24'), 'a chain that no pod needs')
})

test('of pods with one address the newest counts, and the other one when it has gone', async t => {
  const [at] = await namespaces(t, 1)
  const nft = programIn(at)
  const masquerade = createMasquerade(nft)
  masquerade.restore(new Map())
  await masquerade.reconcile(FACTS)
  const [a, b] = [pod('10.9.0.5', '10.9.0.0/24'), pod('10.9.0.5', '10.9.0.0/16')]
  await masquerade.add('a', [a])
  await masquerade.add('b', [b])
  t.is(await standing(nft), format(desired(FACTS, [b])))
  await masquerade.remove('b')
  t.is(await standing(nft), format(desired(FACTS, [a])))
  await masquerade.add('a', [b])
  t.is(await standing(nft), format(desired(FACTS, [b])), "an owner's new pods take the place of its old ones")
  await masquerade.remove('a')
  await masquerade.remove('a')
  t.is(await standing(nft), format(desired(FACTS, [])))
})

test('a pod whose subnet is everything needs no rule; one of another family has none', async t => {
  const [at] = await namespaces(t, 1)
  const nft = programIn(at)
  const masquerade = createMasquerade(nft)
  masquerade.restore(new Map())
  await masquerade.add('a', [pod('10.9.0.5', '0.0.0.0/0')])
  t.is(await standing(nft), undefined)
  await t.throwsAsync(masquerade.add('b', [pod('10.9.0.5', 'fd00::/64')]), {instanceOf: InvalidInput})
})

/** What the agent does in its life; `journal` is what it has on disk of its pods. */
async function life(nft: Nft, journal: Map<string, Pod[]>): Promise<void> {
  const masquerade = createMasquerade(nft)
  masquerade.restore(new Map())
  await masquerade.reconcile(facts(['10.1.0.0/24']))
  const add = (owner: string, pods: Pod[]) => {
    journal.set(owner, pods)
    return masquerade.add(owner, pods)
  }
  await add('a', PODS.slice(0, 1))
  await Promise.all([add('b', PODS.slice(1, 2)), add('c', PODS.slice(2))])
  await masquerade.reconcile(FACTS)
  await masquerade.remove('a')
  journal.delete('a')
  await masquerade.reconcile(facts(['10.1.0.0/24', '10.1.1.0/24'], ['10.0.0.0/8']))
}

test('the agent dies at any call of nft: the next one converges', async t => {
  const [at] = await namespaces(t, 1)
  const real = programIn(at)
  let deaths = 0
  for (let fatal = 1, lived = false; !lived; fatal++) {
    for (const done of [false, true]) {
      script(at, 'flush ruleset')
      let calls = 0
      const {promise: died, resolve: die} = Promise.withResolvers<void>()
      const mortal = <T>(call: () => Promise<T>): Promise<T> => {
        if (++calls < fatal) return call()
        if (done) void call().finally(die)
        else die()
        return new Promise(() => {})
      }
      const journal = new Map<string, Pod[]>()
      const nft: Nft = {
        list: table => mortal(() => real.list(table)),
        apply: commands => mortal(() => real.apply(commands)),
      }
      lived = await Promise.race([life(nft, journal).then(() => true), died.then(() => false)])
      if (!lived) deaths++
      const next = createMasquerade(real)
      next.restore(journal)
      t.is((await next.reconcile(FACTS)).refused, undefined)
      t.is(await standing(real), format(desired(FACTS, [...journal.values()].flat())), `call ${fatal}`)
      t.like(await next.reconcile(FACTS), {changed: 0})
    }
  }
  t.true(deaths >= 16, `${deaths}`)
})

test('while nft fails, nobody is told that the kernel has it; then all is made good', async t => {
  const [at] = await namespaces(t, 1)
  const real = programIn(at)
  let broken = false
  const fails = <T>(call: () => Promise<T>): Promise<T> =>
    broken ? Promise.reject(new NftError('timeout', 'nft hangs')) : call()
  const masquerade = createMasquerade({
    list: table => fails(() => real.list(table)),
    apply: commands => fails(() => real.apply(commands)),
  })
  masquerade.restore(new Map())
  await masquerade.reconcile(FACTS)
  await masquerade.add('kept', PODS.slice(0, 1))
  await masquerade.add('gone', PODS.slice(1, 2))
  broken = true
  t.like(await masquerade.reconcile(FACTS), {refused: 'nft hangs', changed: 0})
  const refused = {instanceOf: MasqueradeRefused, message: 'nft hangs'}
  await t.throwsAsync(masquerade.add('never', PODS.slice(2)), refused)
  await t.throwsAsync(masquerade.add('kept', PODS.slice(2)), refused)
  await t.throwsAsync(masquerade.remove('gone'), refused)
  broken = false
  await masquerade.remove('gone')
  t.is(await standing(real), format(desired(FACTS, PODS.slice(0, 1))))
})

test('an nft that says rules in other words is not asked to write them again and again', async t => {
  const [at] = await namespaces(t, 1)
  const real = programIn(at)
  const writes: (readonly NftCommand[])[] = []
  const nft: Nft = {
    list: async table =>
      JSON.parse(JSON.stringify((await real.list(table)) ?? null).replaceAll('"!="', '"ne"')) ?? undefined,
    apply: commands => {
      writes.push(commands)
      return real.apply(commands)
    },
  }
  const masquerade = createMasquerade(nft)
  masquerade.restore(new Map())
  await masquerade.reconcile(FACTS)
  await masquerade.add('a', PODS)
  for (const _ of [1, 2]) await masquerade.reconcile(FACTS)
  const settled = writes.length
  t.like(await masquerade.reconcile(FACTS), {changed: 0})
  t.is(writes.length, settled)
  script(at, 'flush chain inet netgraft postrouting')
  t.true((await masquerade.reconcile(FACTS)).changed > 0)
})

test('what nft cannot read is written anew, once it is known what belongs there', async t => {
  const [at] = await namespaces(t, 1)
  const real = programIn(at)
  script(at, 'add table inet netgraft; add chain inet netgraft mine')
  let readable = false
  const masquerade = createMasquerade({
    list: table => (readable ? real.list(table) : Promise.reject(new NftError('unreadable', 'nft cannot read'))),
    apply: async commands => {
      await real.apply(commands)
      readable = true
    },
  })
  t.like(await masquerade.reconcile(FACTS), {refused: 'nft cannot read', changed: 0})
  masquerade.restore(new Map([['a', PODS]]))
  const {refused, changed} = await masquerade.reconcile(undefined)
  t.is(refused, undefined)
  t.true(changed > 0)
  t.is(await standing(real), format(desired(FACTS, PODS)))
  t.false(listed(at).includes('mine'))
})

test('without nft there is one sentence, and only where something is wanted', async t => {
  const masquerade = createMasquerade(nftProgram({program: '/nowhere/nft'}))
  masquerade.restore(new Map())
  t.like(await masquerade.reconcile(undefined), {changed: 0})
  t.like(await masquerade.reconcile(facts([])), {changed: 0})
  await masquerade.remove('a')
  const {refused} = await masquerade.reconcile(FACTS)
  t.is(refused, '"/nowhere/nft" is not there: masquerade needs the nft program; install nftables')
  await t.throwsAsync(masquerade.add('a', PODS), {instanceOf: MasqueradeRefused})
})

/** Of few values, so that they overlap, touch and come back. */
const cidrs = fc.uniqueArray(
  fc.constantFrom(
    ...['10.0.0.0/24', '10.0.1.0/24', '10.0.2.0/23', '10.0.0.0/22', '10.0.0.7/32', '0.0.0.0/1', '255.255.255.0/24'],
    ...['fd00::/64', 'fd00:0:0:1::/64', 'fd00::/63', '::/0', 'ffff::/16', '::ffff:1.2.3.0/120'],
  ),
)

test('from any facts to any other', async t => {
  const [at] = await namespaces(t, 1)
  const nft = programIn(at)
  const masquerade = createMasquerade(nft)
  masquerade.restore(new Map())
  await fc.assert(
    fc.asyncProperty(cidrs, cidrs, async (own, skip) => {
      const wanted = facts(own, skip)
      t.is((await masquerade.reconcile(wanted)).refused, undefined)
      t.is(await standing(nft), own.length > 0 ? format(desired(wanted, [])) : undefined)
      t.like(await masquerade.reconcile(wanted), {changed: 0})
    }),
    {numRuns: 40},
  )
})
