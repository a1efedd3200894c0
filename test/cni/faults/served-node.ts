/** The real front behind the real socket, for shims that die. */
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {readdirSync} from 'node:fs'
import {readdir, utimes} from 'node:fs/promises'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import type {ExecutionContext} from 'ava'
import {mergeMap, type Subscription, tap} from 'rxjs'
import {answer} from '../../../src/agent/cni.ts'
import {keyOf} from '../../../src/cni/journal.ts'
import {serve} from '../../../src/cni/server.ts'
import {addon} from '../../../src/netlink/addon.ts'
import {type Agent, openAgent} from './child/front.ts'
import {createPoints, type Points} from './child/points.ts'
import {NETWORKS} from './networks.ts'
import {faultyNode, type Node, type Pod, same} from './node.ts'

export interface Ended {
  readonly killed: boolean
  readonly status: number | null
}

interface Parts {
  readonly node: Node
  readonly agent: Agent
  readonly points: Points
  readonly shim: string
}

/** Pods that come and go through the shim, on a node whose agent serves in this process. */
export class ServedNode {
  readonly #t: ExecutionContext
  readonly #node: Node
  readonly #agent: Agent
  readonly #shim: string
  /** Of the agent. Their deed strikes the shim. */
  readonly points: Points
  #serving: Subscription | undefined
  #child: ChildProcess | undefined
  #underWay = 0
  /** ADDs and DELs whose answer has been printed. */
  heard = 0
  base: string[] = []

  /** `shim`: the program of {@link call}. */
  static async open(t: ExecutionContext, shim: string, network = NETWORKS[0]!): Promise<ServedNode> {
    const node = await faultyNode(t, network)
    const points = createPoints(() => void served.#child?.kill('SIGKILL'))
    const agent = await openAgent({...node.options, netns: node.host.path}, points)
    t.teardown(() => agent.close())
    await agent.recover()
    const served = new ServedNode(t, {node, agent, points, shim})
    t.teardown(() => served.away())
    served.serve()
    for (const pod of node.keepers) await served.call('ADD', pod)
    served.base = await node.look()
    return served
  }

  constructor(t: ExecutionContext, {node, agent, points, shim}: Parts) {
    this.#t = t
    this.#node = node
    this.#agent = agent
    this.points = points
    this.#shim = shim
  }

  get socket(): string {
    return join(this.#node.folder, 'cni.sock')
  }

  get spool(): string {
    return join(this.#node.folder, 'state', 'spool')
  }

  sandbox(): Pod {
    return this.#node.sandbox()
  }

  /** In the place of an earlier one. */
  serve(): void {
    this.away()
    const told = (heard: boolean): boolean => {
      if (heard) this.heard++
      return heard
    }
    this.#serving = serve({path: this.socket, credentials: addon.peerCredentials, tell: () => {}})
      .pipe(
        tap(() => this.#underWay++),
        mergeMap(incoming =>
          answer(this.#agent.front, {...incoming, answer: said => incoming.answer(said).then(told)}).finally(
            () => this.#underWay--,
          ),
        ),
      )
      .subscribe()
  }

  away(): void {
    this.#serving?.unsubscribe()
  }

  /** The shim's process. */
  start(verb: 'ADD' | 'DEL', pod: Pod, program = this.#shim, env: Record<string, string> = {}): ChildProcess {
    const order = this.#node.asks(verb, pod)
    const stdin = JSON.stringify({...JSON.parse(order.stdin), socket: this.socket, spool: this.spool})
    const child = spawn(program, [], {env: {...order.env, ...env}, stdio: ['pipe', 'ignore', 'inherit']})
    this.#child = child
    this.#t.teardown(() => child.kill('SIGKILL'))
    child.stdin!.on('error', () => {})
    child.stdin!.end(stdin)
    return child
  }

  async end(child: ChildProcess): Promise<Ended> {
    const [status, signal] = await once(child, 'close')
    await this.idle()
    return {killed: signal === 'SIGKILL', status}
  }

  async call(verb: 'ADD' | 'DEL', pod: Pod): Promise<void> {
    const {status} = await this.end(this.start(verb, pod))
    this.#t.is(status, 0, verb)
  }

  /** Until the agent has nothing to do. */
  async idle(): Promise<void> {
    // What the shim has sent before its death takes a turn or two to arrive.
    await sleep(2)
    while (this.#underWay > 0) await sleep(1)
    await this.#agent.settled()
    await this.points.idle()
  }

  stands(pod: Pod): boolean {
    return this.#agent.attachments.entries.has(keyOf({containerId: pod.id, ifname: 'eth0'}))
  }

  async nothingLeft(where: string): Promise<void> {
    same(await this.#node.look(), this.base, where)
  }

  drain(): Promise<void> {
    return this.#agent.drain()
  }

  /** What is in the spool, drafts included. */
  spooled(): string[] {
    try {
      return readdirSync(this.spool)
    } catch {
      return []
    }
  }

  /** A minute passes for drafts. */
  async age(): Promise<void> {
    const then = Date.now() / 1000 - 100
    for (const name of await readdir(this.spool))
      if (name.startsWith('.')) await utimes(join(this.spool, name), then, then)
  }
}
