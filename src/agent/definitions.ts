/** Network definitions by name: out of what is watched, and asked for where that does not know it. */
import {merge, type Observable, tap} from 'rxjs'
import {type KubeClient, pathOf} from '../kube/client.ts'
import type {Definition, DefinitionKind, Dialect} from '../model/attachment.ts'
import type {Config} from '../model/config.ts'
import type {Logger} from '../model/logger.ts'
import type {Metrics} from '../observe/metrics.ts'
import {changedKeys} from '../streams/changed-keys.ts'
import {DEFINITIONS, definitionStream, projectDefinition} from '../streams/definitions.ts'
import {ApiError} from '../streams/list-watch.ts'
import type {View} from '../streams/view.ts'
import {contactsWith} from './contacts.ts'
import {quietAbsence, reflectorReporter} from './notices.ts'

export interface Definitions {
  /**
   * Each annotation's own kind first, then the other one. Undefined: there is none. Rejects with ApiError where that
   * cannot be known. `lately`: it may have been made so lately that the watch has not told of it.
   */
  find(
    name: DefinitionName,
    dialect: Dialect,
    options: {readonly lately: boolean; readonly signal: AbortSignal},
  ): Promise<Definition | undefined>
  /** "namespace/name" of what has changed; undefined: anything may have. */
  readonly changed$: Observable<string | undefined>
}

export interface DefinitionName {
  readonly namespace: string
  readonly name: string
}

const ORDER: Readonly<Record<Dialect, readonly DefinitionKind[]>> = {
  npwg: ['NetworkAttachmentDefinition', 'Network'],
  kaloom: ['Network', 'NetworkAttachmentDefinition'],
}

/** Milliseconds for which what the API server said is not asked again: "there is none", for what is not watched yet. */
const ASK_AGAIN_MS = 1000

interface Edges {
  readonly config: Config
  readonly client: KubeClient
  readonly log: Logger
  readonly metrics: Metrics
}

/** `changed$` must be subscribed to. */
export function createDefinitions({config, client, log, metrics}: Edges): Definitions {
  const {namespaces} = config.attachments
  const scopes = namespaces.length === 0 ? [undefined] : [...new Set(namespaces)]
  const watched = (['NetworkAttachmentDefinition', 'Network'] as const).flatMap(kind => {
    const contacts = contactsWith(DEFINITIONS[kind].resource, metrics)
    return scopes.map(namespace => ({
      kind,
      namespace,
      contact: contacts.watch(),
      latest: undefined as View<string, Definition> | undefined,
      /** The cluster has no such kind, as it said last. */
      unserved: false,
    }))
  })
  /** When the API server said that there is none; of a kind that is not served, of all its names. */
  const absent = new Map<string, number>()

  const changed$ = merge(
    ...watched.map(watch => {
      const report = reflectorReporter(DEFINITIONS[watch.kind].resource, log, metrics)
      const {resource} = DEFINITIONS[watch.kind]
      return definitionStream(watch.kind, client.listWatch({...DEFINITIONS[watch.kind], namespace: watch.namespace}), {
        notice: quietAbsence(report, log, resource, () => {
          watch.unserved = true
          watch.contact.absent()
        }),
        heard: watch.contact.heard,
      }).pipe(
        tap(view => {
          watch.latest = view
          if (view.synced) watch.unserved = false
        }),
        changedKeys(),
      )
    }),
  )

  const request = async (kind: DefinitionKind, {namespace, name}: DefinitionName, signal: AbortSignal) => {
    try {
      const path = pathOf({...DEFINITIONS[kind], namespace}, name)
      return projectDefinition(kind, await client.request('GET', path, {signal}))
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined
      throw error
    }
  }

  return {
    changed$,
    find: async (wanted, dialect, {lately, signal}) => {
      const key = `${wanted.namespace}/${wanted.name}`
      const ask = async (kind: DefinitionKind, unserved = false): Promise<Definition | undefined> => {
        const about = unserved ? kind : `${kind} ${key}`
        const asked = absent.get(about)
        if (asked !== undefined && performance.now() - asked < ASK_AGAIN_MS) return undefined
        const found = await request(kind, wanted, signal)
        if (found) return found
        if (absent.size > ABSENT_MAX) absent.clear()
        absent.set(about, performance.now())
        return undefined
      }
      // Of a kind that we may not read there is nothing for us, unless nobody else has the name.
      const early = (kind: DefinitionKind) =>
        ask(kind).catch(error => {
          if (error instanceof ApiError && error.status === 403) return undefined
          throw error
        })
      const unsure: {kind: DefinitionKind; unserved?: boolean | undefined}[] = []
      for (const kind of ORDER[dialect]) {
        const mine = watched.filter(watch => watch.kind === kind)
        const watch = mine.find(({namespace}) => namespace === undefined || namespace === wanted.namespace)
        const view = watch?.latest
        // The other kind's must not take its place while nothing is known of this one.
        const found = view?.synced ? view.items.get(key) : watch && !watch.unserved ? await early(kind) : undefined
        if (found) return found
        if (lately || !view?.synced) unsure.push({kind, unserved: watch?.unserved})
      }
      for (const {kind, unserved} of unsure) {
        const found = await ask(kind, unserved)
        if (found) return found
      }
      return undefined
    },
  }
}

const ABSENT_MAX = 1000
