/** kill -9 at one point of time after the other, a new agent each time, and a look at what is left. */
import {readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import type {ExecutionContext} from 'ava'
import {keyOf} from '../../../src/cni/journal.ts'
import {encodeRequest} from '../../../src/cni/protocol.ts'
import {AgentProcess} from './agent.ts'
import type {Order, Report} from './child/agent.ts'
import type {Deed} from './child/points.ts'
import {type Node, type Pod, same} from './node.ts'

/** What is interrupted. */
export const WORK = ['ADD', 'DEL', 'half-done ADD', 'dead sandbox', 'spooled DEL'] as const
export type Work = (typeof WORK)[number]

/** What the first of all pods makes for those that follow. */
const BRIDGE = 'br0'

export interface SweepOptions {
  readonly program: string
  /** No other pod is there, and no agent that has ever seen one. */
  readonly first?: boolean
}

export class Sweep {
  readonly #first: boolean
  readonly #t: ExecutionContext
  readonly #node: Node
  readonly #program: string
  #agent: AgentProcess
  /** Loaded, and waiting for the other one's end. */
  #next: AgentProcess
  /** What there is when only the living pods have something. */
  #base: string[] = []
  #addresses = 0
  #where = ''
  kills = 0
  /** Of a living pod. */
  address = ''

  constructor(t: ExecutionContext, node: Node, {program, first = false}: SweepOptions) {
    this.#first = first
    this.#t = t
    this.#node = node
    this.#program = program
    this.#agent = this.#start()
    this.#next = this.#start()
  }

  /** The living pods get their network. */
  async begin(): Promise<void> {
    const {keepers} = this.#node
    await this.#done({op: 'open'})
    for (const pod of this.#first ? [] : keepers) this.address = addressIn(await this.#succeeds('ADD', pod))
    // What the first of all pods leaves for good, as a bridge, is there from now on.
    const pod = this.#node.sandbox()
    this.#where = 'at the start'
    await this.#succeeds('ADD', pod)
    const {addresses} = await this.#succeeds('DEL', pod)
    this.#addresses = addresses
    if (this.#first) this.#node.host.ip('link', 'del', BRIDGE)
    this.#base = await this.#node.look()
  }

  /** Every point of it. Each point that leaves the pod standing comes twice: with a DEL, and with its sandbox gone. */
  async all(work: Work): Promise<number> {
    for (let at = 1; ; at++) {
      for (const end of ['DEL', 'gone'] as const) {
        this.#where = `${work}, point ${at}, then ${end}`
        const outcome = await this.#one(work, {at, what: 'kill'}, end)
        if (outcome === 'not killed') return at - 1
        this.kills++
        if (outcome === 'undone') break
      }
    }
  }

  async #one(work: Work, deed: Deed, end: 'DEL' | 'gone'): Promise<'not killed' | 'undone' | 'stood'> {
    const {asks} = this.#node
    if (this.#first) {
      await this.#agent.kill()
      await this.#restart()
    }
    const pod = this.#node.sandbox()
    const request = this.#node.asks('ADD', pod)
    let report: Report | undefined
    if (work === 'ADD') report = await this.#agent.order({...request, deed})
    else {
      const added = await this.#done(request)
      this.#t.is(added.status, 0, `${this.#where}: ${added.body}`)
      report = await this.#interrupt(work, deed, pod)
    }
    if (report) {
      // It got by: the point is behind the end.
      if (work === 'ADD') await this.#succeeds('DEL', pod)
      if (work === 'dead sandbox') await this.#node.makeNamespace()
      await this.#nothingLeft()
      return 'not killed'
    }
    const found = await this.#restart()
    const state = found.entries[keyFor(pod)]
    this.#t.true(state === undefined || state === 'added', `${this.#where}: ${state}`)
    if (work === 'dead sandbox') {
      await this.#findsDead(pod)
      await this.#nothingLeft()
      return 'undone'
    }
    if (work === 'spooled DEL') {
      await this.#done({op: 'drain'})
      await this.#nothingLeft()
      return 'undone'
    }
    if (state === undefined) {
      await this.#nothingLeft()
      // The runtime has heard of nothing: it asks again. That nothing is in the way shows in an ADD.
      if (work !== 'ADD') await this.#succeeds('DEL', pod)
      await this.#done(request).then(({status, body}) => this.#t.is(status, 0, `${this.#where}: ADD again: ${body}`))
      await this.#succeeds('DEL', pod)
      await this.#nothingLeft()
      return 'undone'
    }
    if (work === 'ADD') {
      const before = await this.#node.look()
      const again = await this.#done(request)
      this.#t.is(again.status, 0, `${this.#where}: ${again.body}`)
      const check = await this.#done(asks('CHECK', pod))
      this.#t.is(check.status, 0, `${this.#where}: CHECK: ${check.body}`)
      same(await this.#node.look(), before, `${this.#where}, after the same ADD again`)
    }
    if (end === 'DEL') await this.#done(asks('DEL', pod)).then(({status}) => this.#t.is(status, 0, this.#where))
    else {
      this.#node.removeNamespace()
      await this.#findsDead(pod)
    }
    await this.#nothingLeft()
    return 'stood'
  }

  async #interrupt(work: Exclude<Work, 'ADD'>, deed: Deed, pod: Pod): Promise<Report | undefined> {
    const {folder, asks, removeNamespace} = this.#node
    switch (work) {
      case 'DEL':
        return this.#agent.order({...asks('DEL', pod), deed})
      case 'half-done ADD': {
        // As it is when everything has been made, and not been written down.
        await this.#agent.kill()
        const file = join(folder, 'state', 'journal', `${keyFor(pod)}.json`)
        await writeFile(file, `${(await readFile(file, 'utf8')).split('\n')[0]}\n`)
        this.#advance()
        return this.#agent.order({op: 'open', deed})
      }
      case 'dead sandbox':
        removeNamespace()
        await this.#node.gone(pod)
        return this.#agent.order({op: 'dead', deed})
      case 'spooled DEL': {
        const {id, env, stdin} = asks('DEL', pod)
        const bytes = encodeRequest({id, env: new Map(Object.entries(env)), stdin: Buffer.from(stdin)})
        const name = `${BigInt(Date.now()) * 1_000_000n}`.padStart(20, '0')
        await this.#done({op: 'drain'})
        await writeFile(join(folder, 'state', 'spool', `${name}-1-${id}.del`), bytes)
        return this.#agent.order({op: 'drain', deed})
      }
    }
  }

  /** The kernel takes down what is in a namespace some time after it has gone: until then it is not dead. */
  async #findsDead(pod: Pod): Promise<void> {
    for (const until = Date.now() + 20_000; Date.now() < until; await sleep(20)) {
      const {entries} = await this.#done({op: 'dead'})
      if (!Object.keys(entries).some(key => key.startsWith(`${pod.id}@`))) break
    }
    await this.#node.makeNamespace()
  }

  async #nothingLeft(): Promise<void> {
    const {host} = this.#node
    if (this.#first && host.json('link', 'show', 'type', 'bridge').length > 0) host.ip('link', 'del', BRIDGE)
    same(await this.#node.look(), this.#base, `${this.#where}, in the end`)
    const {addresses} = await this.#done({op: 'dead'})
    this.#t.is(addresses, this.#addresses, `${this.#where}: addresses in use`)
  }

  #start(): AgentProcess {
    return new AgentProcess(this.#t, this.#program, {...this.#node.options, netns: this.#node.host.path})
  }

  #advance(): void {
    this.#agent = this.#next
    this.#next = this.#start()
  }

  /** What is old enough to be tidied up has been: how many are left of what a dead agent was about to use. */
  async end(): Promise<number> {
    await this.#agent.kill()
    await this.#restart()
    const pod = this.#node.sandbox()
    await this.#succeeds('ADD', pod)
    await this.#succeeds('DEL', pod)
    return this.#node.ageDrafts()
  }

  async #restart(): Promise<Report> {
    await this.#node.ageDrafts()
    this.#advance()
    return this.#done({op: 'open'})
  }

  async #done(order: Order): Promise<Report> {
    const report = await this.#agent.order(order)
    return report!
  }

  async #succeeds(verb: 'ADD' | 'DEL', pod: Pod): Promise<Report> {
    const report = await this.#done(this.#node.asks(verb, pod))
    this.#t.is(report.status, 0, `${this.#where}: ${verb}: ${report.body}`)
    return report
  }
}

const keyFor = ({id}: Pod): string => keyOf({containerId: id, ifname: 'eth0'})

const addressIn = ({body}: Report): string => JSON.parse(body!).ips[0].address.split('/')[0]
