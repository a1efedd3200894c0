/**
 * `node vnis-process.ts <store> <kubeconfig or address of etcd> <cycles>`: ten nodes, each with a connection to the store
 * and a view of it of its own, as an agent has them, whose pairs come and go. Prints {@link VniFigures}.
 */
import {setTimeout as sleep} from 'node:timers/promises'
import {createPairFacts} from '../../src/agent/pair-facts.ts'
import {createVniPass} from '../../src/agent/pair-vnis.ts'
import {KubeClient} from '../../src/kube/client.ts'
import {Credentials} from '../../src/kube/credentials.ts'
import {createDefinitions} from '../../src/lab/objects.ts'
import type {NodeName} from '../../src/model/facts.ts'
import type {Endpoint, PairKey} from '../../src/model/pair.ts'
import type {Collection, Entry, Revision, Store} from '../../src/model/store.ts'
import {type EndpointDocument, VNIS, type VniDocument} from '../../src/pairs/documents.ts'
import {openEtcdStore} from '../../src/store/etcd.ts'
import {openKubeStore} from '../../src/store/kubernetes.ts'
import {viewChanges} from '../../src/streams/changed-keys.ts'

export interface VniFigures {
  /** Milliseconds, of all. */
  readonly ms: number
  /** How often a VNI was given out that another pair had. */
  readonly collisions: number
  /** How often another node was quicker. */
  readonly lost: number
  /** What is in the store at the end. */
  readonly leaks: number
  /** Milliseconds, of each batch: until all its pairs have their VNIs, and until all are given back. */
  readonly taking: readonly number[]
  readonly givingBack: readonly number[]
}

const NODES = 10
/** Pairs that a node has at once. */
const BATCH = 10
/** So few that nodes want the same ones: at most 100 are taken. */
const RANGE = {from: 1, to: 256}
/** Where all pairs' other ends are. It sorts last, so that it is never the one that takes. */
const OTHER = 'zz' as NodeName
/** Milliseconds. */
const LOOK = 20
const PATIENCE = 60_000

const [storeName, where, cyclesText] = process.argv.slice(2) as [string, string, string]
const signal = new AbortController().signal
const nodeNames = Array.from({length: NODES}, (_, n) => `node-${n}` as NodeName)

interface Holder {
  readonly node: NodeName
  readonly pair: PairKey
}

/** By number: whose it is, as those know who take and give back. */
const holders = new Map<string, Holder>()
/** By number: how often it was taken or given back. */
const changes = new Map<string, number>()
let [collisions, lost] = [0, 0]

/** Notes each VNI as taken after the store has said so, and as free before the store is asked to. */
const guarded = (self: NodeName, collection: Collection<VniDocument>): Collection<VniDocument> => {
  const changed = (key: string) => changes.set(key, (changes.get(key) ?? 0) + 1)
  return {
    ...collection,
    create: async (key, value, signal) => {
      const outcome = await collection.create(key, value, signal)
      if (outcome === 'exists') lost++
      else {
        if (holders.has(key)) collisions++
        else holders.set(key, {node: self, pair: value.spec.pair})
        changed(key)
      }
      return outcome
    },
    delete: async (key, revision, signal) => {
      const [holder, before] = [holders.get(key), changes.get(key)]
      const isOwn = holder?.node === self
      if (isOwn) holders.delete(key)
      const outcome = await collection.delete(key, revision, signal)
      // It was given back before, and has been taken anew by this node.
      if (outcome === 'changed' && isOwn && changes.get(key) === before) holders.set(key, holder)
      if (outcome === 'deleted') changed(key)
      return outcome
    },
  }
}

async function openStores(): Promise<{readonly stores: readonly Store[]; readonly close: () => void}> {
  if (storeName === 'etcd') {
    const stores = nodeNames.map(() => openEtcdStore({endpoints: [where]}))
    return {stores, close: () => {}}
  }
  const credentials = nodeNames.map(() => new Credentials({kubeconfig: where}))
  const clients = credentials.map(each => new KubeClient(each))
  await createDefinitions(clients[0]!, signal)
  return {
    stores: clients.map(kube => openKubeStore({kube, namespace: 'kube-system'})),
    close: () => {
      for (const each of credentials) each.close()
    },
  }
}

/** Its pairs' documents: one end here, the other elsewhere. */
function endpoints(self: NodeName, from: number, count: number): Map<string, Entry<EndpointDocument>> {
  const all = new Map<string, Entry<EndpointDocument>>()
  for (let i = from; i < from + count; i++) {
    const pods = [`${self}-${i}`, `${self}-${i}-peer`] as const
    for (const [n, node] of [self, OTHER].entries()) {
      const spec: Endpoint = {
        ...{namespace: 'default', pod: pods[n]!, uid: pods[n]!, createdAt: 0, node, underlay: {}},
        declarations: [
          {by: 'annotation', at: 'netgraft.dev/pairs[0]', peer: `default/${pods[1 - n]}`, interface: 'in1'},
        ],
      }
      const key = `default/${pods[n]}`
      all.set(key, {key, value: {spec}, revision: '1' as Revision})
    }
  }
  return all
}

async function playNode(self: NodeName, store: Store, cycles: number) {
  const facts = createPairFacts({self, rules: {mayPair: () => true}, port: 8473, isHere: () => true})
  facts.takeAlive(new Set([...nodeNames, OTHER]))
  let items: ReadonlyMap<string, Entry<VniDocument>> = new Map()
  let synced = false
  let wake = () => {}
  const collection = store.collection(VNIS)
  const subscription = collection.entries$.pipe(viewChanges()).subscribe(({view, keys}) => {
    items = view.items
    facts.takeClaims(items, keys ?? items.keys())
    synced = true
    wake()
  })
  const pass = createVniPass({
    ...{facts, self, range: RANGE, collection: guarded(self, collection)},
    stored: key => items.get(key),
    note: (vni, claim) => void facts.noteClaim(vni, claim),
  })
  const own = () => [...facts.claims.values()].filter(({node}) => node === self)
  const heard = () => Promise.race([sleep(LOOK), new Promise<void>(resolve => (wake = resolve))])
  /** Milliseconds. A pass now and whenever something is heard, until it is so. */
  const until = async (what: string, is: () => boolean) => {
    const began = performance.now()
    for (;;) {
      const {error} = await pass(signal)
      if (error) throw error
      if (is()) return performance.now() - began
      if (performance.now() - began > PATIENCE) throw new Error(`${self}: ${what} never happens`)
      await heard()
    }
  }
  const [taking, givingBack]: [number[], number[]] = [[], []]
  while (!synced) await heard()
  for (let done = 0; done < cycles; done += BATCH) {
    const documents = endpoints(self, done, Math.min(BATCH, cycles - done))
    facts.takeEndpoints(documents, documents.keys())
    const has = () => new Set(own().map(({pair}) => pair))
    taking.push(await until('that all have their VNI', () => [...facts.here].every(pair => has().has(pair))))
    facts.takeEndpoints(new Map(), documents.keys())
    givingBack.push(await until('that all are given back', () => own().length === 0))
  }
  subscription.unsubscribe()
  return {taking, givingBack}
}

const {stores, close} = await openStores()
const began = performance.now()
const shares = nodeNames.map(
  (_, n) => Math.floor(Number(cyclesText) / NODES) + (n < Number(cyclesText) % NODES ? 1 : 0),
)
const all = await Promise.all(nodeNames.map((name, n) => playNode(name, stores[n]!, shares[n]!)))
const ms = performance.now() - began
const leaks = (await stores[0]!.collection(VNIS).list(signal)).size
for (const store of stores) await store.close()
close()
const figures: VniFigures = {
  ...{ms, collisions, lost, leaks},
  taking: all.flatMap(each => each.taking),
  givingBack: all.flatMap(each => each.givingBack),
}
process.stdout.write(JSON.stringify(figures))
