/** The server of the CNI socket, for tests. */
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import {filter, firstValueFrom, ReplaySubject} from 'rxjs'
import type {ShimRequest} from '../../src/cni/protocol.ts'
import {type Answer, type Incoming, type ServeOptions, serve} from '../../src/cni/server.ts'
import {addon} from '../../src/netlink/addon.ts'

export const request = (n = 0, stdin: Buffer = Buffer.from('{}')): ShimRequest => ({
  id: n.toString(16).padStart(32, '0'),
  env: new Map([['CNI_COMMAND', 'STATUS']]),
  stdin,
})

export async function pathOf(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ng-server-'))
  t.teardown(() => rm(folder, {recursive: true, force: true, maxRetries: 5}))
  return join(folder, 'run', 'cni.sock')
}

/** Serves until the test ends; `answers` gives each request's answer, undefined none. */
export async function served(
  t: ExecutionContext,
  path: string,
  answers: (request: ShimRequest) => Answer | undefined = ({id}) => ({status: 0, body: id}),
  options: Partial<ServeOptions> = {},
) {
  const told: string[] = []
  const incoming$ = new ReplaySubject<Incoming>()
  const heard$ = new ReplaySubject<{id: string; heard: boolean}>()
  const listening = Promise.withResolvers<void>()
  const subscription = serve({
    path,
    credentials: addon.peerCredentials,
    tell: problem => told.push(problem),
    listening: listening.resolve,
    ...options,
  }).subscribe({
    next: incoming => {
      incoming$.next(incoming)
      const answer = answers(incoming.request)
      if (answer) void incoming.answer(answer).then(heard => heard$.next({id: incoming.request.id, heard}))
    },
    error: listening.reject,
  })
  t.teardown(() => subscription.unsubscribe())
  await listening.promise
  const first = () => firstValueFrom(incoming$)
  const heard = async (n = 0) => (await firstValueFrom(heard$.pipe(filter(({id}) => id === request(n).id)))).heard
  return {told, first, heard, close: () => subscription.unsubscribe()}
}
