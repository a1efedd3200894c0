/** One pod's Events on their way to the API server: in their order, each once, and no more than it should have to take. */
import {randomBytes} from 'node:crypto'
import type {EventId, PodEvent} from '../kube/events.ts'
import {ApiError} from '../streams/list-watch.ts'

export interface EventQueue {
  /** Those beyond the pod's share are left out, and counted in the next one. */
  add(events: readonly PodEvent[]): void
  /** Until none waits. Rejects with what is to be tried again; what has not been sent still waits then. */
  send(ports: {
    readonly post: (event: PodEvent, id: EventId) => Promise<void>
    /** What the server will never take is left out. */
    readonly refused: (error: ApiError) => void
  }): Promise<void>
}

/** A pod may be edited without end, but Events are kept in the API server's own store. */
const BURST = 25
/** Milliseconds, for one more. */
const EACH_MS = 10_000
/** That are kept for a while when the API server does not take them. */
const WAITING_MAX = 50

/** `now`: milliseconds, of a clock that never goes back. */
export function createEventQueue(now = () => performance.now()): EventQueue {
  const waiting: {readonly id: EventId; readonly event: PodEvent}[] = []
  let share = BURST
  let at = now()
  let leftOut = 0

  const isWithin = (): boolean => {
    const time = now()
    share = Math.min(BURST, share + (time - at) / EACH_MS)
    at = time
    if (share < 1) return false
    share -= 1
    return true
  }

  return {
    add: events => {
      for (const event of events) {
        if (!isWithin()) {
          leftOut += 1
          continue
        }
        waiting.push({id: randomBytes(8).toString('hex'), event: withCount(event, leftOut)})
        leftOut = waiting.length > WAITING_MAX ? 1 : 0
        if (waiting.length > WAITING_MAX) waiting.shift()
      }
    },

    send: async ({post, refused}) => {
      for (let next = waiting[0]; next; next = waiting[0]) {
        try {
          await post(next.event, next.id)
        } catch (error) {
          if (!(error instanceof ApiError) || !isForGood(error)) throw error
          // It is the same for all of them.
          if (error.status === 403) waiting.length = 0
          refused(error)
        }
        // Meanwhile there may be so many that it is not kept any more.
        if (waiting[0] === next) waiting.shift()
      }
    },
  }
}

const isForGood = ({status = 0}: ApiError): boolean => [400, 403, 413, 422].includes(status)

const withCount = (event: PodEvent, leftOut: number): PodEvent =>
  leftOut === 0 ? event : {...event, message: `${event.message} (Events left out before this one: ${leftOut})`}
