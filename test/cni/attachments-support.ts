/** Attachments of a plugin that does as the test says, with a real journal and real namespaces. */

import {setTimeout as sleep} from 'node:timers/promises'
import type {ExecutionContext} from 'ava'
import {type Attachments, createAttachments} from '../../src/cni/attachments.ts'
import {createFront, type Front, type FrontEvent} from '../../src/cni/front.ts'
import {type Journal, openJournal, type Plan} from '../../src/cni/journal.ts'
import {NO_NETWORKS} from '../../src/cni/networks.ts'
import type {NativePlugin, PluginCall} from '../../src/cni/plugin.ts'
import type {ShimRequest} from '../../src/cni/protocol.ts'
import {createSerial, type Serial} from '../../src/cni/serial.ts'
import {parseCidr} from '../../src/model/ip.ts'
import type {Logger} from '../../src/model/logger.ts'
import type {Sandbox} from '../../src/model/namespace.ts'
import {openFiles} from '../../src/netlink/files.ts'
import {namespaces as doors} from '../../src/netlink/namespace.ts'
import {folderOf, planOf} from './journal-support.ts'

export interface Site {
  readonly attachments: Attachments
  readonly journal: Journal
  readonly serial: Serial
  readonly front: Front
  /** "ADD c1", "DEL c1 without": with which plugin was called. */
  readonly calls: string[]
  /** "warn: …". */
  readonly told: string[]
  readonly events: FrontEvent[]
  /** A plan for a namespace, and the namespace, open until the test ends. */
  plan(netns: string, more?: Partial<Plan>): Promise<{plan: Plan; sandbox: Sandbox}>
}

type Deed = (call: PluginCall) => Promise<void> | void

export interface SiteOptions {
  readonly folder?: string
  readonly add?: Deed
  readonly del?: Deed
  /** Further verbs. */
  readonly more?: Pick<NativePlugin, 'rebuild' | 'update'>
}

export async function siteOf(t: ExecutionContext, {folder, add, del, more}: SiteOptions = {}): Promise<Site> {
  const calls: string[] = []
  const told: string[] = []
  const events: FrontEvent[] = []
  const life = new AbortController()
  t.teardown(() => life.abort())
  const note = (verb: string, {containerId, sandbox}: PluginCall) =>
    calls.push(`${verb} ${containerId}${sandbox ? '' : ' without'}`)
  const plugin: NativePlugin = {
    knows: () => true,
    add: async call => {
      note('ADD', call)
      await add?.(call)
      return {
        interfaces: [{name: call.ifname, sandbox: call.netns}],
        ips: [{address: '10.1.2.3/24', gateway: '10.1.2.1', interface: 0}],
        routes: [],
        dns: {},
      }
    },
    check: async call => void note('CHECK', call),
    del: async call => {
      note('DEL', call)
      await del?.(call)
    },
    ...more,
  }
  const log = Object.fromEntries(
    ['debug', 'info', 'warn', 'error', 'fatal'].map(level => [
      level,
      (message: string) => told.push(`${level}: ${message}`),
    ]),
  ) as unknown as Logger
  const files = await openFiles()
  t.teardown(() => files.close())
  const journal = await openJournal(folder ?? (await folderOf(t)), files, problem => t.fail(problem))
  const namespaces = doors()
  const find = () => plugin
  const attachments = await createAttachments({
    keep: [],
    did: () => {},
    journal,
    namespaces,
    find,
    log,
    signal: life.signal,
    retryMs: () => 10,
  })
  const serial = createSerial(8)
  const front = createFront({
    attachments,
    namespaces,
    find,
    serial,
    log,
    pods: {mode: 'ptp', bridge: 'ng-br0'},
    networks: NO_NETWORKS,
    site: async () => ({ranges: [parseCidr('10.1.2.0/24')], mtu: {4: 1400}}),
    isVolatile: () => true,
    deadlineMs: 5000,
    done: event => events.push(event),
  })
  return {
    attachments,
    journal,
    serial,
    front,
    calls,
    told,
    events,
    plan: async (netns, more = {}) => {
      const sandbox = await namespaces.open(netns)
      t.teardown(() => sandbox.close())
      return {plan: planOf({netns, sandbox: sandbox.id, boot: attachments.boot, at: Date.now(), ...more}), sandbox}
    },
  }
}

export const OPTIONS = {signal: new AbortController().signal, durable: false}

export function requestOf(
  verb: string,
  netns: string,
  {
    id = '0'.repeat(32),
    containerId = 'c1',
    config = {},
    input,
  }: {id?: string; containerId?: string; config?: object; input?: string} = {},
): ShimRequest {
  const env = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: containerId,
    CNI_IFNAME: 'eth0',
    CNI_NETNS: netns,
    CNI_PATH: '/nowhere',
  }
  const whole = {cniVersion: '1.1.0', name: 'pods', type: 'netgraft', ...config}
  return {id, env: new Map(Object.entries(env)), stdin: Buffer.from(input ?? JSON.stringify(whole))}
}

/** Polls until it is so. */
export async function until(condition: () => boolean): Promise<void> {
  for (let n = 0; !condition(); n++) {
    if (n > 1000) throw new Error(`never came true: ${condition}`)
    await sleep(10)
  }
}
