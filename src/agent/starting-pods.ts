/** What is known of a pod within its ADD: by the runtime, by the watch, or by a question to the API server. */
import type {OwnConfig} from '../cni/default-network.ts'
import {CniError} from '../cni/error.ts'
import {isRecord} from '../cni/record.ts'
import type {PodRef} from '../cni/request.ts'
import {quoted} from '../model/errors.ts'
import {POD_ANNOTATIONS, type PodFacts} from '../streams/pods.ts'
import type {Pods} from './pods.ts'

export type Texts = Readonly<Record<string, string>>

/** Each rejects with CniError (11) where it cannot be known. */
export interface StartingPods {
  annotations(pod: PodRef, config: OwnConfig, signal: AbortSignal): Promise<Texts>
  /** Of those that matter here. Runtimes do not hand them over. */
  labels(pod: PodRef, signal: AbortSignal): Promise<Texts>
}

/** What containerd hands over with each ADD: the capability of that name. */
const CRI_ANNOTATIONS = 'io.kubernetes.cri.pod-annotations'
/** Milliseconds for one question to the API server within an ADD. */
const ASK_MS = 5000

export function startingPods(pods: Pods): StartingPods {
  const find = async (pod: PodRef, what: string, signal: AbortSignal): Promise<PodFacts> => {
    const known = pods.items.get(`${pod.namespace}/${pod.name}`)
    if (known && isSamePod(pod, known)) return known
    const title = quoted(`${pod.namespace}/${pod.name}`)
    const unknown = (why: string, cause?: unknown) =>
      new CniError(
        'tryAgainLater',
        `which ${what} pod ${title} asks for is not known: ${why}; it starts once that is`,
        {
          cause,
        },
      )
    const asked = await pods.ask(pod, AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)])).catch(cause => {
      throw unknown((cause as Error).message, cause)
    })
    if (asked && isSamePod(pod, asked)) return asked
    throw unknown(`the API server has ${asked ? 'another pod of that name' : 'no such pod'}`)
  }
  return {
    annotations: async (pod, {runtimeConfig}, signal) => {
      const given = runtimeConfig[CRI_ANNOTATIONS]
      // A pod that has none is told of by null.
      if (given !== undefined) return isRecord(given) ? textsOf(given) : {}
      return (await find(pod, 'networks', signal)).annotations
    },
    labels: async (pod, signal) => (await find(pod, 'network', signal)).labels,
  }
}

/** A static pod has one UID in the API and another one, its config's hash, at the runtime. */
export const isSamePod = ({uid}: PodRef, facts: PodFacts): boolean =>
  uid === undefined || uid === facts.uid || uid === facts.annotations[POD_ANNOTATIONS.configHash]

const textsOf = (record: Readonly<Record<string, unknown>>): Record<string, string> =>
  Object.fromEntries(Object.entries(record).filter((pair): pair is [string, string] => typeof pair[1] === 'string'))
