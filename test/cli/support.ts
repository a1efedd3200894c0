/** `netgraft` as an operator types it, on a test's node. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import type {AdminAnswers} from '../../src/model/admin.ts'
import {BUNDLE, type TestNode} from '../agent/support/node.ts'

export interface Said {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** In the node's network namespace, with the agent's configuration unless `words` name another. */
export async function netgraft(node: TestNode, ...words: string[]): Promise<Said> {
  const config = words.includes('--config') ? [] : ['--config', node.agent.config]
  const inside = [`--net=${node.namespace.path}`, process.execPath, BUNDLE, ...words, ...config]
  const {PATH, HOME = '/'} = process.env
  const child = spawn('nsenter', inside, {stdio: ['ignore', 'pipe', 'pipe'], env: {PATH, HOME, NODE_NAME: 'a'}})
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  const [status] = await once(child, 'close')
  return {status, stdout, stderr}
}

/** What a verb answers for programs. Throws with what it says instead. */
export async function answerOf<K extends keyof AdminAnswers>(
  node: TestNode,
  verb: K,
  ...words: string[]
): Promise<AdminAnswers[K]> {
  const {stdout, stderr} = await netgraft(node, verb, ...words, '-o', 'json')
  if (stdout === '') throw new Error(`${verb}: ${stderr}`)
  return JSON.parse(stdout)
}

/** The lines of a table without their blanks: "b 10.64.2.0/24 stands via 192.168.0.2 dev eth0". */
export async function linesOf(node: TestNode, ...words: string[]): Promise<string[]> {
  const {stdout, stderr} = await netgraft(node, ...words)
  if (stderr !== '') throw new Error(stderr)
  return stdout
    .split('\n')
    .map(line => line.replace(/ {2,}/g, ' ').trim())
    .filter(line => line !== '')
}
