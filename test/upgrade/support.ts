/** Agents that take each other's place, and traffic that must not notice. Needs root. */
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import type {ExecutionContext} from 'ava'
import {VERSION} from '../../src/cli/version.ts'
import type {Networks} from '../agent/support/networks.ts'
import {type Agent, BUNDLE, type TestNode} from '../agent/support/node.ts'
import type {Namespace} from '../netlink/namespace.ts'

const FLOW = join(import.meta.dirname, 'child', 'flow.ts')

export function temporary(t: ExecutionContext): string {
  const made = mkdtempSync(join(tmpdir(), 'ng-upgrade-'))
  t.teardown(() => rmSync(made, {recursive: true, force: true, maxRetries: 5}))
  return made
}

/** The build as another image has it: in another folder, and, if asked for, of another version. Its bundle's path. */
export function anotherBuild(t: ExecutionContext, version?: string): string {
  const folder = temporary(t)
  cpSync(dirname(BUNDLE), folder, {recursive: true})
  const bundle = join(folder, 'netgraft.js')
  if (version !== undefined) {
    const text = readFileSync(bundle, 'utf8')
    const own = new RegExp(`\\b(VERSION\\d*=)"${VERSION}"`)
    if (!own.test(text)) throw new Error('the bundle does not say its version')
    writeFileSync(bundle, text.replace(own, `$1"${version}"`))
  }
  return bundle
}

function inside(t: ExecutionContext, {name}: Namespace, words: readonly string[]): ChildProcess {
  const child = spawn('ip', ['netns', 'exec', name, process.execPath, FLOW, ...words], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

const PORT = '7007'

/** Answers whatever it is sent. */
export async function echo(t: ExecutionContext, pod: {readonly namespace: Namespace}): Promise<void> {
  await once(inside(t, pod.namespace, ['echo', PORT]).stdout!, 'data')
}

export interface Flow {
  /** "UDP 10.64.2.2". */
  readonly to: string
  readonly sent: number
  /** UDP: numbers; TCP: how many bytes. */
  readonly lost: readonly number[]
  readonly error?: string
}

/** UDP and TCP to each address, until the result is called. */
export async function flows(
  t: ExecutionContext,
  pod: {readonly namespace: Namespace},
  addresses: readonly string[],
): Promise<() => Promise<readonly Flow[]>> {
  const child = inside(t, pod.namespace, ['send', PORT, ...addresses])
  let text = ''
  child.stdout!.setEncoding('utf8').on('data', more => {
    text += more
  })
  await once(child.stdout!, 'data')
  return async () => {
    const over = once(child, 'close')
    child.stdin!.end()
    await over
    return JSON.parse(text.trim().split('\n').at(-1)!)
  }
}

/** What has been lost, in words; empty: nothing, and something was sent at all. */
export const losses = (all: readonly Flow[]): readonly string[] =>
  all
    .filter(({sent, lost, error}) => sent < 10 || lost.length > 0 || error !== undefined)
    .map(({to, sent, lost, error}) => `${to}: ${sent} sent, lost ${lost.join(' ')}, ${error ?? 'no error'}`)

/** Waits until the agent's log says so. */
export async function says(node: TestNode, agent: Agent, words: string): Promise<void> {
  await node.until(
    () => agent.logs.some(line => JSON.stringify(line).includes(words)),
    () =>
      `the log says ${words}; it ends with\n${agent.logs
        .slice(-8)
        .map(line => JSON.stringify(line))
        .join('\n')}\n${agent.stderr}`,
  )
}

export const serving = (node: TestNode, agent: Agent): Promise<void> => says(node, agent, 'serving CNI requests')

/** ADD, CHECK and DEL of one pod after the other, until the result is called: what failed, and how many were done. */
export async function requests(networks: Networks): Promise<() => Promise<{failed: readonly string[]; done: number}>> {
  const failed: string[] = []
  let [done, isOver] = [0, false]
  const loop = async () => {
    while (!isOver) {
      const declared = await networks.declare()
      const asked = networks.asked(declared)
      let added = 'null'
      for (const verb of ['ADD', 'CHECK', 'DEL'] as const) {
        const prevResult = verb === 'CHECK' ? {prevResult: JSON.parse(added)} : {}
        const {status, stdout} = await networks.runtime.call(verb, declared, {
          ...asked,
          config: {...asked.config, ...prevResult},
        })
        if (verb === 'ADD') added = status === 0 ? stdout : 'null'
        if (status !== 0) failed.push(`${verb}: ${stdout}`)
        else done++
      }
      declared.namespace.remove()
      networks.node.api.delete({resource: 'pods', namespace: declared.project, name: declared.name})
    }
  }
  const loops = [loop(), loop()]
  return async () => {
    isOver = true
    await Promise.all(loops)
    return {failed, done}
  }
}
