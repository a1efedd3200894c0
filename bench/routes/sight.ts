/** What happens to the agent's routes and entries in a namespace, one change after the other. */
import {filter, firstValueFrom, type Subscription, share, tap} from 'rxjs'
import type {KernelChange} from '../../src/model/kernel.ts'
import {monitor} from '../../src/netlink/monitor.ts'

export interface Seen {
  readonly change: KernelChange
  /** `performance.now()`. */
  readonly at: number
}

export class Sight {
  /** Called for each change. */
  onChange: (seen: Seen) => void = () => {}
  #subscription: Subscription | undefined

  /** Resolves when nothing more can escape it. */
  static async open(netns: string): Promise<Sight> {
    const sight = new Sight()
    const {events$} = monitor({groups: ['link', 'route', 'neighbour'], netns, receiveBuffer: 256 << 20})
    const shared$ = events$.pipe(
      tap(event => {
        if (event.kind === 'lost') throw new Error('the kernel told more than could be heard')
        if (event.kind === 'changes') for (const change of event.changes) sight.onChange({change, at: event.at})
      }),
      share(),
    )
    const listening = firstValueFrom(shared$.pipe(filter(({kind}) => kind === 'listening')))
    sight.#subscription = shared$.subscribe()
    await listening
    return sight
  }

  close(): void {
    this.#subscription?.unsubscribe()
  }
}

/** Names the thing that a change is about, wherever its device's index lies: a device that is made anew has another. */
export function nameOf({object, item}: KernelChange): string | undefined {
  if (object === 'route') return item.protocol === 107 ? `route ${item.destination}` : undefined
  if (object === 'neighbour') return item.state === 0x80 ? `neighbour ${item.ip}` : undefined
  if (object === 'fdb') return item.remote ? `fdb ${item.mac} ${item.remote}` : undefined
  return undefined
}
