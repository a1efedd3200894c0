/** One host with many pods, all wired by one set of our types. */
import type {ExecutionContext} from 'ava'
import {type Namespace, namespaces} from '../../netlink/namespace.ts'
import {type Answer, type Call, ourWorld, type Verb} from './world.ts'

export interface Crowd {
  readonly world: Namespace
  readonly pods: readonly Namespace[]
  run(verb: Verb | 'repair', pod: number, call: Call): Promise<Answer>
}

export async function openSandboxes(t: ExecutionContext, count: number): Promise<Crowd> {
  const [host, ...pods] = await namespaces(t, count + 1)
  const ours = await ourWorld(t, host!, pods[0]!)
  const run = async (verb: Verb | 'repair', pod: number, call: Call): Promise<Answer> => {
    const whole = {...call, containerId: `c${pod}`, netns: pods[pod]!.path}
    return verb === 'repair' ? {result: await ours.repair(whole)} : ours.run(verb, whole)
  }
  return {world: host!, pods, run}
}
