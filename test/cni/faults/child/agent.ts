/**
 * A process that is an agent's CNI front and nothing else. It is told what to do line by line, and dies by SIGKILL at the
 * point of time that the line says. Arguments: {@link AgentOptions} as JSON.
 */
import {createInterface} from 'node:readline'
import {countFiles} from './files.ts'
import {type Agent, type AgentOptions, openAgent} from './front.ts'
import {type PassOrder, passOver} from './pass.ts'
import {createPoints, type Deed} from './points.ts'

export type Order =
  | (PassOrder & {readonly deed?: Deed})
  | {readonly op: 'open' | 'dead' | 'drain'; readonly deed?: Deed}
  | {
      readonly op: 'handle'
      readonly id: string
      readonly env: Readonly<Record<string, string>>
      readonly stdin: string
      readonly deed?: Deed
    }

export interface Report {
  /** Points that were passed. */
  readonly passed: number
  /** What the deed was done to. */
  readonly struck: string | undefined
  readonly status?: 0 | 1
  readonly body?: string
  /** The journal's: the state of each key. */
  readonly entries: Readonly<Record<string, string>>
  /** That node-local has given out. */
  readonly addresses: number
  readonly troubles: readonly string[]
}

const options = JSON.parse(process.argv[2] ?? '') as AgentOptions
const points = createPoints(() => process.kill(process.pid, 'SIGKILL'))
await countFiles(points)
let agent: Agent | undefined

async function obey(order: Order): Promise<Pick<Report, 'status' | 'body'>> {
  if (order.op === 'open') {
    agent = await openAgent(options, points)
    await agent.recover()
    return {}
  }
  if (!agent) throw new Error('it is not open')
  switch (order.op) {
    case 'dead':
      await agent.removeDead()
      return {}
    case 'drain':
      await agent.drain()
      return {}
    case 'pass': {
      const {states, failed} = await passOver(agent, order)
      await agent.settled()
      return {status: failed ? 1 : 0, body: JSON.stringify(states)}
    }
    case 'handle': {
      const {id, env, stdin} = order
      const request = {id, env: new Map(Object.entries(env)), stdin: Buffer.from(stdin)}
      const {status, body} = await agent.front.handle(request)
      await agent.settled()
      return {status, body}
    }
  }
}

for await (const line of createInterface({input: process.stdin})) {
  const order = JSON.parse(line) as Order
  points.begin(order.deed)
  const answer = await obey(order)
  await points.idle()
  const report: Report = {
    ...answer,
    passed: points.passed,
    struck: points.struck,
    entries: Object.fromEntries([...agent!.attachments.entries].map(([key, {state}]) => [key, state])),
    addresses: agent!.nodeLocal.size,
    troubles: agent!.troubles,
  }
  process.stdout.write(`${JSON.stringify(report)}\n`)
}
process.exit(0)
