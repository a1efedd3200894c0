/** An agent beside its API server, in a namespace, for everything that is measured of a running one. */
import {Agent} from '../agent.ts'
import {Api} from '../api.ts'
import type {Bench} from '../bench.ts'
import {makeSite, type Site} from '../site.ts'
import type {Case} from './case.ts'

export interface Session {
  readonly bench: Bench
  readonly what: Case
  readonly site: Site
  readonly api: Api
  /** Not started yet. */
  readonly agent: Agent
}

/** Everything is gone when the work is done, or has failed. */
export async function inSession(bench: Bench, what: Case, work: (session: Session) => Promise<void>): Promise<void> {
  const {run} = bench
  const site = await makeSite(run)
  const api = await Api.start(run, site, what)
  const agent = new Agent(run, site, api)
  try {
    await agent.configure({backend: what.backend})
    await work({bench, what, site, api, agent})
  } catch (error) {
    throw new Error(`${(error as Error).message}; the end of the agent's log:\n${await agent.lastWords()}`, {
      cause: error,
    })
  } finally {
    await agent.stop()
    await api.stop()
    await site.remove()
  }
}
