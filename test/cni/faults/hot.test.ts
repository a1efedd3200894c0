/**
 * While the agent attaches, changes and takes away networks of a pod that runs, it is killed before and behind everything
 * that it asks of the world, or that fails once: the next pass ends in what is asked for, or leaves what was, and the pod
 * leaves nothing behind. Needs root.
 */
import {isDeepStrictEqual} from 'node:util'
import test, {type ExecutionContext} from 'ava'
import {AgentProcess, bundleAgent, removeBundle} from './agent.ts'
import type {Order, Report} from './child/agent.ts'
import type {Deed} from './child/points.ts'
import type {Network} from './networks.ts'
import {faultyNode, type Node, type Pod, same} from './node.ts'

let program: string
test.before(async () => {
  program = await bundleAgent()
})
test.after.always(() => removeBundle(program))

/** What a pod's user asks for. */
interface Wish {
  readonly networks: string
  readonly definitions: Readonly<Record<string, object>>
  /** What the pod has then, beside eth0: name, MTU, addresses. */
  readonly has: readonly string[]
}

interface Edit {
  readonly title: string
  readonly from: Wish
  readonly to: Wish
}

const NOTHING: Wish = {networks: '', definitions: {}, has: []}

const layer2 = (folder: string, more: object = {}) => ({
  cniVersion: '1.0.0',
  type: 'bridge',
  bridge: 'br1',
  ipam: {type: 'host-local', dataDir: `${folder}/ipam`, ranges: [[{subnet: '10.82.0.0/24'}]]},
  ...more,
})

const fixed = (address: string, more: object = {}) => ({
  ...layer2('', more),
  ipam: {type: 'static', addresses: [{address}], routes: [{dst: '10.99.0.0/16'}]},
})

/** The numbers of addresses of host-local go on and on. */
const EDITS = (folder: string): readonly Edit[] => {
  const both: Wish = {
    networks: 'lan@net1,lan@net2',
    definitions: {lan: layer2(folder)},
    has: ['net1 1500 10.82.0.x/24', 'net2 1500 10.82.0.x/24'],
  }
  const here: Wish = {
    networks: 'lan@net1',
    definitions: {lan: fixed('10.81.0.7/24')},
    has: ['net1 1500 10.81.0.7/24'],
  }
  return [
    {title: 'attach two', from: NOTHING, to: both},
    {title: 'take two away', from: both, to: NOTHING},
    {
      title: 'change in place',
      from: here,
      to: {...here, definitions: {lan: fixed('10.81.0.8/24', {mtu: 1400})}, has: ['net1 1400 10.81.0.8/24']},
    },
    {
      title: 'replace',
      from: here,
      to: {...here, definitions: {lan: layer2(folder, {bridge: 'br2'})}, has: ['net1 1500 10.82.0.x/24']},
    },
    {
      title: 'replace by another, through a program',
      from: here,
      to: {
        networks: 'other@net1',
        definitions: {other: layer2(folder, {bridge: 'br2', unknown: true})},
        has: ['net1 1500 10.82.0.x/24'],
      },
    },
  ]
}

const NETWORK: Network = {
  title: 'hot',
  args: nth => `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod-${nth};K8S_POD_UID=pod-${nth}`,
}

for (const index of EDITS('').keys())
  for (const what of ['kill', 'refuse'] as const)
    test(`${EDITS('')[index]!.title}: ${what}`, async t => {
      t.timeout(300_000)
      const node = await faultyNode(t, NETWORK)
      const sweep = new HotSweep(t, node, EDITS(node.folder)[index]!)
      await sweep.begin()
      t.log(`${await sweep.all(what)} points`)
    })

class HotSweep {
  readonly #t: ExecutionContext
  readonly #node: Node
  readonly #edit: Edit
  #agent: AgentProcess
  /** Loaded, and waiting for the other one's end. */
  #next: AgentProcess
  #base: string[] = []

  constructor(t: ExecutionContext, node: Node, edit: Edit) {
    this.#t = t
    this.#node = node
    this.#edit = edit
    this.#agent = this.#start()
    this.#next = this.#start()
  }

  async begin(): Promise<void> {
    const {from, to} = this.#edit
    await this.#agent.order({op: 'open'})
    for (const pod of this.#node.keepers) await this.#succeeds(this.#node.asks('ADD', pod), 'a keeper')
    // Bridges are there for good.
    const pod = this.#node.sandbox()
    await this.#succeeds(this.#node.asks('ADD', pod), 'first ADD')
    for (const wish of [from, to]) await this.#succeeds(pass(pod, wish), 'first pass')
    await this.#succeeds(this.#node.asks('DEL', pod), 'first DEL')
    this.#base = await this.#node.look()
  }

  async all(what: 'kill' | 'refuse'): Promise<number> {
    const deed = (at: number): Deed => (what === 'kill' ? {at, what} : {at, what, code: 'EIO'})
    for (let at = 1; ; at++) if (!(await this.#one(deed(at)))) return at - 1
  }

  /** Whether there was such a point. */
  async #one(deed: Deed): Promise<boolean> {
    let where = `point ${deed.at}`
    const {from, to} = this.#edit
    const pod = this.#node.sandbox()
    await this.#succeeds(this.#node.asks('ADD', pod), where)
    await this.#succeeds(pass(pod, from), where)
    const report = await this.#agent.order({...pass(pod, to), deed})
    if (report?.struck !== undefined) {
      where += ` (${report.struck})`
      // Again, as it does by itself. What could not take the place of what works waits for longer, which stands meanwhile.
      const again = await this.#agent.order(pass(pod, to))
      this.#t.true(
        [from, to].some(wish => isDeepStrictEqual(has(pod), wish.has)),
        `${where}: ${has(pod)} ${again!.body}`,
      )
      await this.#agent.kill()
    }
    if (report === undefined || report.struck !== undefined) {
      this.#agent = this.#next
      this.#next = this.#start()
      await this.#node.ageDrafts()
      await this.#agent.order({op: 'open'})
      await this.#succeeds(pass(pod, to), where)
    }
    this.#t.deepEqual(has(pod), to.has, where)
    await this.#succeeds(this.#node.asks('CHECK', pod), where)
    await this.#succeeds(this.#node.asks('DEL', pod), where)
    same(await this.#node.look(), this.#base, where)
    return report === undefined || report.struck !== undefined
  }

  #start(): AgentProcess {
    return new AgentProcess(this.#t, program, {...this.#node.options, netns: this.#node.host.path})
  }

  async #succeeds(order: Order, where: string): Promise<Report> {
    const report = (await this.#agent.order(order))!
    if (report.status !== 0) throw new Error(`${where}: ${order.op}: ${report.body} ${report.troubles.join('; ')}`)
    return report
  }
}

const pass = ({nth}: Pod, {networks, definitions}: Wish): Order => ({
  op: 'pass',
  pod: `pod-${nth}`,
  networks,
  definitions,
})

const has = ({namespace}: Pod): string[] =>
  namespace
    .json('addr', 'show')
    .filter(({ifname}) => ifname.startsWith('net'))
    .map(({ifname, mtu, addr_info}) => {
      const own = (addr_info as {scope: string; local: string; prefixlen: number}[]).filter(
        each => each.scope !== 'link',
      )
      return [
        ifname,
        mtu,
        ...own.map(({local, prefixlen}) => `${local.replace(/^10\.82\.0\.\d+$/, '10.82.0.x')}/${prefixlen}`),
      ].join(' ')
    })
    .sort()
