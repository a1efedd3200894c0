/**
 * Everything that the agent asks of the world in ADD and in DEL fails once: not done at all, or done without the answer
 * coming back. The runtime hears a CNI error or a success; after its DEL nothing is left. Needs root.
 */
import test, {type ExecutionContext} from 'ava'
import {AgentProcess, bundleAgent, removeBundle} from './agent.ts'
import type {Order, Report} from './child/agent.ts'
import type {Deed} from './child/points.ts'
import {NETWORKS} from './networks.ts'
import {faultyNode, type Node, same} from './node.ts'

let program: string
test.before(async () => {
  program = await bundleAgent()
})
test.after.always(() => removeBundle(program))

const CODES = ['EIO', 'ENOSPC', 'EBUSY']
/** DELs that a runtime makes until one succeeds. */
const TRIES = 3

for (const network of NETWORKS.filter(({first}) => !first))
  for (const what of ['refuse', 'lose'] as const)
    test(`${network.title}: ${what}`, async t => {
      t.timeout(300_000)
      const node = await faultyNode(t, network)
      const agent = new AgentProcess(t, program, {...node.options, netns: node.host.path})
      const faulty = new Faulty(t, node, agent)
      await faulty.begin()
      const counts: string[] = []
      for (const verb of ['ADD', 'DEL'] as const) counts.push(`${verb}: ${await faulty.all(verb, what)}`)
      t.log(`${counts.join(', ')}; hidden from the runtime: ${faulty.hidden}`)
    })

class Faulty {
  readonly #t: ExecutionContext
  readonly #node: Node
  readonly #agent: AgentProcess
  #base: string[] = []
  #addresses = 0
  /** Faults that the answer does not tell of. */
  hidden = 0

  constructor(t: ExecutionContext, node: Node, agent: AgentProcess) {
    this.#t = t
    this.#node = node
    this.#agent = agent
  }

  async begin(): Promise<void> {
    const {keepers, asks} = this.#node
    await this.#order({op: 'open'})
    for (const pod of keepers) await this.#succeeds(asks('ADD', pod))
    const pod = this.#node.sandbox()
    for (const verb of ['ADD', 'DEL'] as const) this.#addresses = (await this.#succeeds(asks(verb, pod))).addresses
    this.#base = await this.#node.look()
  }

  async all(verb: 'ADD' | 'DEL', what: 'refuse' | 'lose'): Promise<number> {
    for (let at = 1; ; at++) {
      const where = `${verb}, ${what} ${at}`
      const struck = await this.#one(verb, {at, what, code: CODES[at % CODES.length]!}, where)
      if (struck === undefined) return at - 1
      await this.#nothingLeft(`${where} (${struck})`)
    }
  }

  async #one(verb: 'ADD' | 'DEL', deed: Deed, where: string): Promise<string | undefined> {
    const {asks, sandbox} = this.#node
    const pod = sandbox()
    if (verb === 'DEL') await this.#succeeds(asks('ADD', pod))
    const {status, body, struck} = await this.#order({...asks(verb, pod), deed})
    if (status === 0 && struck !== undefined) {
      this.hidden++
      const check = verb === 'ADD' ? await this.#order(asks('CHECK', pod)) : undefined
      if (check?.status === 1) throw new Error(`${where} (${struck}): ADD has succeeded, but ${check.body}`)
    }
    if (status !== 0) {
      const {code, msg} = JSON.parse(body!)
      this.#t.true(code > 0 && /^\S.*\S$/.test(msg), `${where} (${struck}): ${body}`)
    }
    for (let tries = 1; ; tries++) {
      const answer = await this.#order(asks('DEL', pod))
      if (answer.status === 0) break
      if (tries === TRIES) throw new Error(`${where} (${struck}): DEL fails: ${answer.body}`)
    }
    return struck
  }

  async #nothingLeft(where: string): Promise<void> {
    same(await this.#node.look(), this.#base, where)
    const {addresses} = await this.#order({op: 'dead'})
    this.#t.is(addresses, this.#addresses, `${where}: addresses in use`)
  }

  async #succeeds(order: Order): Promise<Report> {
    const report = await this.#order(order)
    if (report.status !== 0) throw new Error(report.body)
    return report
  }

  /** A request that hangs is a failure. */
  async #order(order: Order): Promise<Report> {
    const report = await Promise.race([this.#agent.order(order), late()])
    return report!
  }
}

/** Milliseconds. */
const HANGS_MS = 60_000

const late = (): Promise<never> =>
  new Promise((_, reject) => setTimeout(() => reject(new Error('an answer does not come')), HANGS_MS).unref())
