/** Which of etcd's members is asked, and how often: in place of cockatiel's policies, which etcd3 takes. */
import {castGrpcError, GRPCUnavailableError, type IOptions} from 'etcd3'
import {Avoided} from './etcd-failure.ts'

/** Milliseconds during which another endpoint is tried before one that could not be reached. */
const AVOIDED_MS = 5000

type Policies = NonNullable<IOptions['faultHandling']>

/** It is run, and that is all. */
export const once = (): NonNullable<Policies['global']> => policy(run => run())

/** Passes over an endpoint that could not be reached lately, unless it is the only one or all are like that. */
export function avoiding(endpoints: number): NonNullable<Policies['host']> {
  const failed = new Map<string, number>()
  const lately = (host: string) => performance.now() - (failed.get(host) ?? -AVOIDED_MS) < AVOIDED_MS
  return host =>
    policy(async run => {
      const others = [...failed.keys()].filter(other => other !== host && lately(other)).length
      if (lately(host) && others < endpoints - 1) throw new Avoided(`${host} could not be reached lately`)
      try {
        const result = await run()
        failed.delete(host)
        return result
      } catch (error) {
        if (error instanceof Error && castGrpcError(error) instanceof GRPCUnavailableError)
          failed.set(host, performance.now())
        throw error
      }
    })
}

function policy(execute: (run: () => Promise<unknown>) => Promise<unknown>): NonNullable<Policies['global']> {
  const context = {signal: new AbortController().signal}
  const once = {execute: (run: (context: object) => Promise<unknown>) => execute(async () => run(context))}
  return once as unknown as NonNullable<Policies['global']>
}
