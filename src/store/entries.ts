/** What every store makes of its transport: streams of views, and lists. */
import {type Observable, ReplaySubject, share} from 'rxjs'
import type {Collection, Document, Kind} from '../model/store.ts'
import type {View} from '../model/view.ts'
import type {ListWatchTransport} from '../streams/list-watch.ts'
import {type Notice, type ReflectOptions, reflect} from '../streams/reflector.ts'
import {reasonOf} from './document.ts'
import type {StoreOptions, Unusable} from './options.ts'

export type Tell = (unusable: Unusable) => void

export type ObjectReader<F> = Required<Pick<ReflectOptions<F>, 'key' | 'project' | 'equal'>> &
  Pick<ReflectOptions<F>, 'labelSelector'> & {
    /** The key of an object without a good one, for sentences. */
    readonly keyText: (object: unknown) => string
  }

/** After a cut most wait for something: soon again, but not all at once. Milliseconds. */
const BACKOFF = {baseMs: 200, capMs: 10_000}

/** Who hears of what a stream does. */
export interface StreamEars {
  readonly tell?: Tell | undefined
  readonly notice?: StoreOptions['notice'] | undefined
  readonly heard?: StoreOptions['heard'] | undefined
  /** Who is asked, for sentences. @default 'the API server' */
  readonly server?: string
}

/** Read once for all subscribers. `onNotice` hears of everything but unusable objects. */
export function objectStream<F>(
  what: string,
  transport: ListWatchTransport,
  {keyText, ...reader}: ObjectReader<F>,
  {tell = () => {}, notice, heard = () => {}, ...server}: StreamEars,
  onNotice: (notice: Notice) => void = () => {},
): Observable<View<string, F>> {
  const hear = (told: Notice) => {
    if (told.type === 'unusable') return tell({what, key: keyText(told.object), reason: reasonOf(told.error)})
    onNotice(told)
    notice?.(what, told)
  }
  const ears = {notice: hear, heard: () => heard(what)}
  return reflect<F>(transport, {...reader, ...server, ...ears, what, backoff: BACKOFF}).pipe(
    share({connector: () => new ReplaySubject(1)}),
  )
}

/** Takes the objects of a list one by one. */
export function collect<F>(what: string, {key, project, keyText}: ObjectReader<F>, tell: Tell = () => {}) {
  const items = new Map<string, F>()
  const take = (object: unknown): void => {
    try {
      const facts = project(object)
      if (facts !== undefined) items.set(key(object), facts)
    } catch (error) {
      tell({what, key: keyText(object), reason: reasonOf(error)})
    }
  }
  return {items, take}
}

/** How many reasons are remembered, so that none is told twice. */
const TOLD_MAX = 1000

/** Tells what it has not told already. */
export function once(tell: Tell = () => {}): Tell {
  const told = new Map<string, string>()
  return unusable => {
    const {what, key, reason} = unusable
    if (told.get(`${what} ${key}`) === reason) return
    if (told.size >= TOLD_MAX) told.clear()
    told.set(`${what} ${key}`, reason)
    tell(unusable)
  }
}

/** Opens each collection once: its stream is shared by all who ask for it. */
export function collections(open: <D extends Document>(kind: Kind<D>) => Collection<D>) {
  const opened = new Map<string, unknown>()
  return <D extends Document>(kind: Kind<D>): Collection<D> => {
    if (!opened.has(kind.plural)) opened.set(kind.plural, open(kind))
    return opened.get(kind.plural) as Collection<D>
  }
}
