/** Starts the relay: see relay.ts for what it does. */
import {once} from 'node:events'
import {join} from 'node:path'
import type {LabPlan} from './plan.ts'
import type {Run} from './run.ts'

export interface Relay {
  /** The socket for HTTP to the nodes. */
  readonly http: string
  /** Resolves with what it said when it has ended, in whatever way. */
  readonly ended: Promise<string>
}

/** Where the nodes find the API server, at the wire's addresses. */
export const API_PORT = 6443

/** Resolves when it listens. @param apiSocket where the API server is */
export async function startRelay(run: Run, plan: LabPlan, apiSocket: string): Promise<Relay> {
  const script = join(import.meta.dirname, 'relay.ts')
  const http = join(run.folder, 'http.sock')
  const addresses = plan.relay.map(({ip}) => `${ip}`)
  const child = await run.spawn(process.execPath, [script, apiSocket, http, `${API_PORT}`, ...addresses], {
    netns: plan.wire,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let complaint = ''
  child.stderr!.setEncoding('utf8').on('data', text => (complaint += text))
  const ended = once(child, 'close').then(([code, signal]) => complaint.trim() || signal || `exit ${code}`)
  const listening = once(child.stdout!, 'data').then(() => undefined)
  const failure = await Promise.race([listening, ended])
  if (failure !== undefined) throw new Error(`the relay between the nodes and the API server ended: ${failure}`)
  return {http, ended}
}
