/** What a kubelet reads of a Pod. */
import {isDeepStrictEqual} from 'node:util'
import type {Annotations} from './pods.ts'

export interface PodWish {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** Empty: none yet. */
  readonly node: string
  readonly hostNetwork: boolean
  /** It is being deleted. */
  readonly ending: boolean
  readonly annotations: Annotations
}

/** Throws TypeError where it is no pod. */
export function projectPodWish(object: unknown): PodWish {
  const {metadata, spec} = object as PodObject
  const {namespace, name, uid, annotations, deletionTimestamp} = metadata
  return {
    namespace,
    name,
    uid,
    node: spec?.nodeName ?? '',
    hostNetwork: spec?.hostNetwork === true,
    ending: deletionTimestamp !== undefined && deletionTimestamp !== null,
    annotations: annotations ?? {},
  }
}

export const equalPodWishes = (a: PodWish, b: PodWish): boolean => isDeepStrictEqual(a, b)

interface PodObject {
  readonly metadata: {
    readonly namespace: string
    readonly name: string
    readonly uid: string
    readonly annotations?: Annotations | null
    readonly deletionTimestamp?: string | null
  }
  readonly spec?: {readonly nodeName?: string; readonly hostNetwork?: boolean}
}
