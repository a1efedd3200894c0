/** The kernel mirror: a dump, kept up to date by the kernel's own messages, dumped again when those were lost. */
import {Observable, ReplaySubject, Subject, share} from 'rxjs'
import type {KernelChange, KernelEvent, KernelSnapshot, KernelState, KernelView} from '../model/kernel.ts'
import {Backoff} from './backoff.ts'
import {MutableKernelState} from './kernel-state.ts'
import {sleep} from './lifetime.ts'

/** What src/netlink brings. */
export interface KernelSource {
  readonly events$: Observable<KernelEvent>
  snapshot(): Promise<KernelSnapshot>
  /** Resolves once `events$` has emitted whatever the kernel had said before the call. */
  flush(): Promise<void>
}

/** Why everything was read again: at start; messages lost; a change that could not be folded; the slow timer. */
export type ResyncReason = 'start' | 'lost' | 'inexact' | 'timer'

export interface MirrorOptions {
  /** Milliseconds between dumps without cause. 0 disables. @default 300000 */
  readonly resyncMs?: number
  readonly onResync?: (reason: ResyncReason) => void
  /** A dump failed; it is tried again. */
  readonly onError?: (error: unknown) => void
}

export interface Mirror {
  /**
   * Emits when the kernel has changed, but for changes that we made ourselves and those of pods' links: they are in the
   * state, silently.
   */
  readonly view$: Observable<KernelView>
  /** Emits when something of a pod's link has changed on the host. While `view$` is subscribed to. */
  readonly pods$: Observable<KernelState>
  /**
   * Resolves once the state holds everything that we wrote before the call: with that state, which a dump may have put
   * in the place of the one that was last emitted. Undefined: nothing is known.
   */
  settle(): Promise<KernelState | undefined>
}

export function createMirror(source: KernelSource, options: MirrorOptions = {}): Mirror {
  let current: Fold | undefined
  const pods$ = new Subject<KernelState>()
  const view$ = new Observable<KernelView>(subscriber => {
    const fold = new Fold(source, options, {
      view: view => subscriber.next(view),
      pods: state => pods$.next(state),
    })
    current = fold
    subscriber.next({synced: false, reason: "the kernel's state has not been read yet"})
    const events = source.events$.subscribe({
      next: event => fold.handle(event),
      error: error => subscriber.error(error),
    })
    const timer =
      options.resyncMs === 0 ? undefined : setInterval(() => fold.resync('timer'), options.resyncMs ?? 300_000)
    return () => {
      clearInterval(timer)
      events.unsubscribe()
      fold.stop()
      if (current === fold) current = undefined
    }
  }).pipe(share({connector: () => new ReplaySubject(1)}))
  return {
    view$,
    pods$,
    settle: async () => {
      await source.flush()
      await current?.whole
      return current?.state
    },
  }
}

/** Milliseconds after a dump that only a change asked for, and times what it took, until the next such one. */
const REST_MS = 100
const REST_FACTOR = 4

interface Emit {
  readonly view: (view: KernelView) => void
  readonly pods: (state: KernelState) => void
}

class Fold {
  /** Resolves when nothing is missing from the state that the kernel would have told: after a dump, where it was lost. */
  whole: Promise<void> | undefined
  #madeWhole: (() => void) | undefined
  /** Something has been lost since the dump that is under way began. */
  #lostAgain = false
  /** On performance.now()'s clock: the next dump that only a change asks for begins no sooner. */
  #restedAt = 0
  readonly #source: KernelSource
  readonly #options: MirrorOptions
  readonly #emit: Emit
  readonly #stop = new AbortController()
  /** Undefined: nothing has been read yet. */
  state: MutableKernelState | undefined
  /** While a dump is under way: what has changed since it began, to be folded into it. */
  #during: KernelChange[] | undefined
  /** Another dump is needed after the one that is under way. */
  #again: ResyncReason | undefined

  constructor(source: KernelSource, options: MirrorOptions, emit: Emit) {
    this.#source = source
    this.#options = options
    this.#emit = emit
  }

  handle(event: KernelEvent): void {
    if (event.kind === 'listening') this.resync('start')
    else if (event.kind === 'lost') this.resync('lost')
    else {
      this.#during?.push(...event.changes)
      const whom = this.state && this.#fold(this.state, event.changes)
      if (whom === 'all') this.#publish(event.at)
      else if (whom === 'pods' && !this.#stop.signal.aborted) this.#emit.pods(this.state!)
    }
  }

  resync(reason: ResyncReason): void {
    if (reason === 'start' || reason === 'lost') this.#lose()
    if (this.#during) this.#again = this.#again === 'lost' ? 'lost' : reason
    else void this.#read(reason)
  }

  #lose(): void {
    if (this.#during) this.#lostAgain = true
    this.whole ??= new Promise(resolve => {
      this.#madeWhole = resolve
    })
  }

  #gain(): void {
    if (!this.#lostAgain) {
      this.#madeWhole?.()
      this.whole = undefined
    }
    this.#lostAgain = false
  }

  stop(): void {
    this.#stop.abort()
    this.#madeWhole?.()
  }

  /** Whom something concerns that we did not do ourselves. A change that cannot be folded in asks for a dump. */
  #fold(state: MutableKernelState, changes: readonly KernelChange[]): 'all' | 'pods' | undefined {
    let whom: 'all' | 'pods' | undefined
    for (const change of changes) {
      if (whom !== 'all' && !change.own) whom = state.concerns(change) ?? whom
      if (!state.apply(change)) this.resync('inexact')
    }
    if (!state.complete()) this.resync('inexact')
    return whom
  }

  async #read(reason: ResyncReason): Promise<void> {
    const backoff = new Backoff()
    for (let next: ResyncReason | undefined = reason; next && !this.#stop.signal.aborted; ) {
      this.#during ??= []
      const restMs = next === 'inexact' ? this.#restedAt - performance.now() : 0
      if (restMs > 0) {
        await sleep(restMs, this.#stop.signal)
        // What was asked for meanwhile is answered by this one.
        next = this.#again ?? next
      }
      this.#again = undefined
      this.#lostAgain = false
      this.#during = []
      this.#options.onResync?.(next)
      const at = performance.now()
      try {
        const state = new MutableKernelState(await this.#source.snapshot())
        if (this.#stop.signal.aborted) return
        const during = this.#during
        this.state = state
        // Folding the same change twice is harmless; #during stays set, so an inexact one asks for one more dump.
        this.#fold(state, during)
        this.#publish(at)
        this.#gain()
        // Who changes the kernel all the time must not have us read it all the time.
        if (next === 'inexact')
          this.#restedAt = performance.now() + Math.max(REST_MS, REST_FACTOR * (performance.now() - at))
        next = this.#again
      } catch (error) {
        if (this.#stop.signal.aborted) return
        this.#options.onError?.(error)
        if (!this.state)
          this.#emit.view({synced: false, reason: `the kernel's state could not be read: ${(error as Error).message}`})
        await sleep(backoff.next(), this.#stop.signal)
      }
    }
    this.#during = undefined
  }

  #publish(at: number): void {
    if (this.state && !this.#stop.signal.aborted) this.#emit.view({synced: true, state: this.state, at})
  }
}
