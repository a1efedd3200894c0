/** What every store must do. Each file that has one runs all of it. */
import {setTimeout as wait} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import type {Collection, Entry, Revision, Store} from '../../src/model/store.ts'
import {StoreError} from '../../src/model/store.ts'
import {MAX_VALUE} from '../../src/store/document.ts'
import type {StoreOptions, Unusable} from '../../src/store/options.ts'
import {heard, look, PAIRS, type Thing, thing, until, VNIS} from './support.ts'

export interface Node {
  readonly store: Store
  readonly told: readonly Unusable[]
  /** Cuts this node's wire alone. */
  cut(): void
  /** What is asked arrives, and nothing comes back; undefined where there is no wire. */
  readonly mute?: () => void
  mend(): Promise<void>
}

export interface Harness {
  /** One more node of the same cluster. */
  node(options?: StoreOptions): Promise<Node>
  /** Writes what is no document; a stranger does. `key`: of pairs. */
  garbage(key: string, spec: unknown): Promise<void>
  /** The server forgets what was. */
  compact(): Promise<void>
  /** What is a key for a stranger alone; undefined where the server itself refuses that. */
  readonly foreignKey?: string
}

export const {signal} = new AbortController()

export const entry = (answer: Entry<Thing> | string | undefined): Entry<Thing> => {
  if (typeof answer !== 'object') throw new Error(`no entry, but ${answer}`)
  return answer
}

/** "a/b 1@up, …", in the keys' order. */
export const text = (items: ReadonlyMap<string, Entry<Thing>> | undefined): string =>
  [...(items ?? [])]
    .map(([key, {value}]) => `${key} ${value.spec.n}${value.status ? `@${value.status.state}` : ''}`)
    .sort()
    .join(', ')

export const code = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    error => (error instanceof StoreError ? `${error.code} ${error.retryable}` : String(error)),
  )

export function conformance(start: (t: ExecutionContext) => Promise<Harness>): void {
  const pairsOf = ({store}: Node): Collection<Thing> => store.collection(PAIRS)

  test('create, read, replace, delete', async t => {
    const node = await (await start(t)).node()
    const pairs = pairsOf(node)
    t.is(await pairs.read('a/x', signal), undefined)
    const first = entry(await pairs.create('a/x', thing(1), signal))
    t.deepEqual([first.key, first.value], ['a/x', thing(1)])
    t.is(await pairs.create('a/x', thing(2), signal), 'exists')
    t.deepEqual(await pairs.read('a/x', signal), first)
    const second = entry(await pairs.replace('a/x', thing(2, 'up'), first.revision, signal))
    t.deepEqual(second.value, thing(2, 'up'))
    t.not(second.revision, first.revision)
    t.is(await pairs.replace('a/x', thing(3), first.revision, signal), 'changed')
    t.deepEqual(await pairs.read('a/x', signal), second)
    const third = entry(await pairs.replace('a/x', thing(2), second.revision, signal))
    t.deepEqual(third.value, thing(2), 'a status that is left away is gone')
    t.is(await pairs.delete('a/x', second.revision, signal), 'changed')
    t.is(await pairs.delete('a/x', third.revision, signal), 'deleted')
    t.is(await pairs.delete('a/x', third.revision, signal), 'gone')
    t.is(await pairs.replace('a/x', thing(4), third.revision, signal), 'gone')
    entry(await pairs.create('a/x', thing(5), signal))
    t.is(await pairs.replace('a/x', thing(6), third.revision, signal), 'changed', 'another one of the same name')
  })

  test('collections and namespaces keep apart', async t => {
    const node = await (await start(t)).node()
    const [pairs, vnis] = [pairsOf(node), node.store.collection(VNIS)]
    entry(await pairs.create('a/x', thing(1), signal))
    entry(await pairs.create('b/x', thing(2), signal))
    entry(await vnis.create('4097', thing(3), signal))
    t.is(text(await pairs.list(signal)), 'a/x 1, b/x 2')
    t.is(text(await vnis.list(signal)), '4097 3')
    t.is(pairsOf(node), pairs)
  })

  test('keys and values that cannot be kept are refused, and nothing is sent', async t => {
    const node = await (await start(t)).node()
    const [pairs, vnis] = [pairsOf(node), node.store.collection(VNIS)]
    for (const key of ['', 'x', '/x', 'a/', 'a/b/c', 'A/x', 'a/x y', 'a/..', '../x', `a/${'x'.repeat(254)}`, 'a/x?y=1'])
      t.is(await code(pairs.create(key, thing(1), signal)), 'invalid false', key)
    for (const key of ['a/x', '', '.']) t.is(await code(vnis.read(key, signal)), 'invalid false', key)
    const large = {spec: {n: 1, pad: 'x'.repeat(MAX_VALUE)}}
    t.is(await code(pairs.create('a/large', large, signal)), 'invalid false')
    const fits = {spec: {n: 1, pad: 'x'.repeat(MAX_VALUE - 100)}}
    const {revision} = entry(await pairs.create('a/fits', fits, signal))
    t.is(await code(pairs.replace('a/fits', large, revision, signal)), 'invalid false')
    t.is(text(await pairs.list(signal)), 'a/fits 1')
  })

  test('an aborted call rejects with the reason', async t => {
    const pairs = pairsOf(await (await start(t)).node())
    const stop = new AbortController()
    const call = pairs.read('a/x', stop.signal)
    const reason = new Error('enough')
    stop.abort(reason)
    t.is(await t.throwsAsync(call), reason)
    t.is(await t.throwsAsync(pairs.read('a/x', stop.signal)), reason)
  })

  test('a closed store says so', async t => {
    const {store} = await (await start(t)).node()
    await store.collection(PAIRS).read('a/x', signal)
    await store.close()
    t.is(await code(store.collection(PAIRS).read('a/x', signal)), 'closed false')
  })

  test('of ten that create the same key one wins; of different keys all', async t => {
    const harness = await start(t)
    const clients = await Promise.all(Array.from({length: 10}, async () => pairsOf(await harness.node())))
    const wins = await Promise.all(
      clients.map(async (pairs, who) => {
        const won: string[] = []
        for (let i = 0; i < 100; i++) {
          if ((await pairs.create(`a/same-${i}`, thing(who), signal)) !== 'exists') won.push(`a/same-${i} ${who}`)
          t.not(await pairs.create(`a/own-${who}-${i}`, thing(who), signal), 'exists')
        }
        return won
      }),
    )
    const listed = text(await clients[0]!.list(signal)).split(', ')
    t.deepEqual(
      listed.filter(line => line.includes('same')),
      wins.flat().sort(),
    )
    t.is(wins.flat().length, 100)
    t.is(listed.length, 1100)
  })

  test('of ten that count together none is lost', async t => {
    const harness = await start(t)
    const clients = await Promise.all(Array.from({length: 10}, async () => pairsOf(await harness.node())))
    entry(await clients[0]!.create('a/count', thing(0), signal))
    const count = async (pairs: Collection<Thing>) => {
      for (let done = 0; done < 20; ) {
        const {value, revision} = entry(await pairs.read('a/count', signal))
        if (typeof (await pairs.replace('a/count', thing(value.spec.n + 1), revision, signal)) === 'object') done++
      }
    }
    await Promise.all(clients.map(count))
    t.is(entry(await clients[0]!.read('a/count', signal)).value.spec.n, 200)
  })

  test('a watch begins unsynced, and ends up with what a list has', async t => {
    const harness = await start(t)
    const [one, two] = [pairsOf(await harness.node()), pairsOf(await harness.node())]
    entry(await one.create('a/early', thing(0), signal))
    const seen = look(t, two.entries$)
    t.false(seen.views[0]?.synced)
    await until('it is synced', () => seen.items !== undefined)
    const logged = new Set<string>()
    const churn = async (pairs: Collection<Thing>, who: string) => {
      for (let i = 0; i < 60; i++) {
        const key = `a/${who}-${i % 20}`
        const known = await pairs.read(key, signal)
        if (!known) await pairs.create(key, thing(i), signal)
        else if (i % 3 === 0) await pairs.delete(key, known.revision, signal)
        else await pairs.replace(key, thing(i, 'up'), known.revision, signal)
      }
    }
    await Promise.all([churn(one, 'one'), churn(two, 'two')])
    const want = text(await one.list(signal))
    await until('the view is the list', () => text(seen.items) === want)
    const last = seen.views.at(-1)!
    if (!last.synced) return t.fail()
    for (const key of last.log!.since(0) ?? []) logged.add(key)
    for (const key of last.items.keys()) t.true(logged.has(key), key)
    for (const [key, {revision}] of await one.list(signal)) t.is(last.items.get(key)?.revision, revision)
  })

  test('who comes later gets the newest view at once, and all share one watch', async t => {
    const pairs = pairsOf(await (await start(t)).node())
    const first = look(t, pairs.entries$)
    await until('it is synced', () => first.items !== undefined)
    entry(await pairs.create('a/x', thing(1), signal))
    await until('it is seen', () => text(first.items) === 'a/x 1')
    t.is(text(look(t, pairs.entries$).items), 'a/x 1')
  })

  test('what others have written and is no document is told once and left out', async t => {
    const harness = await start(t)
    const node = await harness.node()
    const pairs = pairsOf(node)
    entry(await pairs.create('a/good', thing(1), signal))
    await harness.garbage('a/bad', {n: 'one'})
    if (harness.foreignKey !== undefined) await harness.garbage(harness.foreignKey, {n: 1})
    const seen = look(t, pairs.entries$)
    await until('it is synced', () => seen.items !== undefined)
    t.is(text(seen.items), 'a/good 1')
    t.is(text(await pairs.list(signal)), 'a/good 1')
    t.is(text(await pairs.list(signal)), 'a/good 1')
    const keys = ['a/bad', ...(harness.foreignKey === undefined ? [] : [harness.foreignKey])]
    t.deepEqual(node.told.map(({what, key}) => `${what} ${key}`).sort(), keys.map(key => `pairs ${key}`).sort())
    t.true(node.told.some(({reason}) => reason.includes('spec.n is no number')))
    t.is(await pairs.create('a/bad', thing(2), signal), 'exists')
    t.is(await code(pairs.read('a/bad', signal)), 'unusable false')
    await harness.garbage('a/good', {n: 'two'})
    await until('it went bad while it was watched', () => text(seen.items) === '')
    await harness.garbage('a/bad', {n: 3})
    await until('it is good again', () => text(seen.items) === 'a/bad 3')
  })

  test('in an outage calls fail, the last known stands, and afterwards the view is right', async t => {
    const harness = await start(t)
    const [node, other] = [await harness.node({deadlineMs: 2000}), pairsOf(await harness.node())]
    const pairs = pairsOf(node)
    for (const name of ['x', 'y', 'z']) entry(await other.create(`a/${name}`, thing(1), signal))
    const seen = look(t, pairs.entries$)
    await until('it is synced', () => seen.items?.size === 3)
    node.cut()
    const {revision} = entry(await other.read('a/x', signal))
    t.is(await other.delete('a/x', revision, signal), 'deleted')
    entry(await other.create('a/new', thing(2), signal))
    t.is(await code(pairs.read('a/y', signal)), 'unreachable true')
    t.regex(await code(pairs.create('a/q', thing(1), signal)), /^(unreachable|uncertain) true$/)
    t.is(text(seen.items), 'a/x 1, a/y 1, a/z 1')
    await node.mend()
    await until('the view is right again', () => text(seen.items) === 'a/new 2, a/y 1, a/z 1')
    await until('calls succeed again', async () => (await code(pairs.read('a/y', signal))) === 'done')
    t.true(seen.views.slice(1).every(view => view.synced))
  })

  test('a write whose answer is lost may have been done, and says so', async t => {
    const harness = await start(t)
    const [node, other] = [await harness.node({deadlineMs: 1000}), pairsOf(await harness.node())]
    if (!node.mute) return t.pass('there is no wire')
    const pairs = pairsOf(node)
    const {revision} = entry(await pairs.create('a/x', thing(1), signal))
    node.mute()
    t.is(await code(pairs.create('a/y', thing(2), signal)), 'uncertain true')
    t.is(await code(pairs.replace('a/x', thing(3), revision, signal)), 'uncertain true')
    t.is(await code(pairs.read('a/y', signal)), 'unreachable true')
    t.is(await code(pairs.list(signal)), 'unreachable true')
    await until('both were done', async () => text(await other.list(signal)) === 'a/x 3, a/y 2')
    await node.mend()
    await until('it can be read', async () => (await code(pairs.read('a/y', signal))) === 'done')
    t.is(await pairs.create('a/y', thing(2), signal), 'exists')
    t.is(await pairs.replace('a/x', thing(3), revision, signal), 'changed')
  })

  test('what the server forgot during an outage is read again', async t => {
    const harness = await start(t)
    const [node, other] = [await harness.node(), pairsOf(await harness.node())]
    for (const name of ['x', 'y', 'z']) entry(await other.create(`a/${name}`, thing(1), signal))
    const seen = look(t, pairsOf(node).entries$)
    await until('it is synced', () => seen.items?.size === 3)
    node.cut()
    const {revision} = entry(await other.read('a/x', signal))
    t.is(await other.delete('a/x', revision, signal), 'deleted')
    entry(await other.create('a/new', thing(2), signal))
    await harness.compact()
    await node.mend()
    await until('the view is right', () => text(seen.items) === 'a/new 2, a/y 1, a/z 1')
    entry(await other.create('a/more', thing(3), signal))
    await until('the watch goes on', () => text(seen.items) === 'a/more 3, a/new 2, a/y 1, a/z 1')
  })

  test('a sign of life is seen, lost when its time is over, and gained again', async t => {
    const harness = await start(t)
    const [one, two] = [await harness.node(), await harness.node()]
    const told = heard(t, one.store.own('node-1', {ttlMs: 3000}))
    const others = heard(t, two.store.own('node-2', {ttlMs: 3000}))
    const owners = look(t, two.store.owners$)
    await until('both are seen', () => `${owners.keys}` === 'node-1,node-2')
    await wait(4500)
    t.is(`${owners.keys}`, 'node-1,node-2', 'both renew')
    one.cut()
    await until('the other one sees it gone', () => `${owners.keys}` === 'node-2')
    await until('it knows itself', () => told.all.at(-1)?.held === false)
    await one.mend()
    await until('it is back', () => `${owners.keys}` === 'node-1,node-2')
    t.deepEqual(
      told.all.map(({held}) => held),
      [true, false, true],
    )
    t.deepEqual(
      others.all.map(({held}) => held),
      [true],
    )
  })

  test('nobody is dead because we are cut off', async t => {
    const harness = await start(t)
    const [one, two] = [await harness.node({deadlineMs: 1000}), await harness.node()]
    heard(t, two.store.own('node-2', {ttlMs: 2000}))
    const owners = look(t, one.store.owners$)
    await until('it is seen', () => `${owners.keys}` === 'node-2')
    const before = owners.views.length
    one.cut()
    await wait(5000)
    t.is(`${owners.keys}`, 'node-2')
    await one.mend()
    await wait(3500)
    t.is(`${owners.keys}`, 'node-2')
    t.true(owners.views.slice(before).every(view => view.synced && view.items.has('node-2')))
  })

  test('a restarted owner is never missed; the newest process has the name; one that is gone for good is disowned', async t => {
    const harness = await start(t)
    const [one, again, two] = [await harness.node(), await harness.node(), await harness.node()]
    const owners = look(t, two.store.owners$)
    const first = heard(t, one.store.own('node-1', {ttlMs: 3000}))
    await until('it is seen', () => `${owners.keys}` === 'node-1')
    const before = owners.items!.get('node-1')!.instance
    const second = heard(t, again.store.own('node-1', {ttlMs: 3000}))
    await until('the new process has it', () => owners.items!.get('node-1')!.instance !== before)
    await until('the old one is told', () => first.all.at(-1)?.held === false)
    first.stop()
    await wait(4500)
    t.deepEqual(second.all, [{held: true}])
    t.true(owners.views.filter(view => view.synced).every(view => view.synced && view.items.has('node-1')))
    second.stop()
    t.deepEqual([...(await two.store.signs(signal))], ['node-1'])
    await two.store.disown('node-1', signal)
    t.deepEqual([...(await two.store.signs(signal))], [])
    await until('it is gone', () => `${owners.keys}` === '')
    await two.store.disown('node-1', signal)
    for (const name of ['', 'a/b', 'A', '..', 'x'.repeat(254)])
      t.is(t.throws(() => two.store.own(name, {ttlMs: 3000}), {instanceOf: StoreError})?.code, 'invalid')
  })

  test('random calls of two clients do what a simple model does', async t => {
    const harness = await start(t)
    const clients = [pairsOf(await harness.node()), pairsOf(await harness.node())]
    const seen = look(t, clients[0]!.entries$)
    const keys = ['a/x', 'a/y', 'b/x']
    const call = fc.record({
      client: fc.integer({min: 0, max: 1}),
      key: fc.constantFrom(...keys),
      verb: fc.constantFrom('create', 'replace', 'delete', 'stale replace', 'stale delete', 'read'),
      n: fc.integer({min: 0, max: 9}),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(call, {maxLength: 30}), async calls => {
        const model = new Map<string, {n: number; revision: Revision}>()
        const stale = new Map<string, Revision>()
        for (const {client, key, verb, n} of calls) {
          const pairs = clients[client]!
          const known = model.get(key)
          const old = stale.get(key)
          const revision = verb.startsWith('stale') ? old : (known?.revision ?? old)
          if (verb === 'read') {
            const got = await pairs.read(key, signal)
            t.deepEqual(got && {n: got.value.spec.n, revision: got.revision}, known)
          } else if (verb === 'create') {
            const got = await pairs.create(key, thing(n), signal)
            t.is(got === 'exists', known !== undefined)
            if (got !== 'exists') model.set(key, {n, revision: got.revision})
          } else if (revision !== undefined) {
            const right = known?.revision === revision
            const otherwise = known ? 'changed' : 'gone'
            if (verb.endsWith('replace')) {
              const got = await pairs.replace(key, thing(n), revision, signal)
              t.is(typeof got === 'object' ? 'done' : got, right ? 'done' : otherwise)
              if (typeof got === 'object') {
                model.set(key, {n, revision: got.revision})
                // A write that changes nothing need not be one.
                if (got.revision !== revision) stale.set(key, revision)
              }
            } else {
              t.is(await pairs.delete(key, revision, signal), right ? 'deleted' : otherwise)
              if (right) model.delete(key)
              if (right) stale.set(key, revision)
            }
          }
        }
        const want = [...model]
          .map(([key, {n}]) => `${key} ${n}`)
          .sort()
          .join(', ')
        t.is(text(await clients[1]!.list(signal)), want)
        await until('the view is the model', () => seen.items !== undefined && text(seen.items) === want)
        for (const [key, {revision}] of model) await clients[0]!.delete(key, revision, signal)
      }),
      {numRuns: 40},
    )
  })
}
