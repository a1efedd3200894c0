/** When all pods of this node have been looked at once: until then links that nobody seems to want may be theirs. */
import type {PodKey} from '../model/pair.ts'

export interface FirstLook {
  /** All is known that a look depends on. These are to be looked at; only looks that begin from now on count. */
  begin(pods: Iterable<PodKey>): void
  readonly isBegun: boolean
  /** Of each look. One at a time for a pod. */
  starts(pod: PodKey): void
  ends(pod: PodKey): void
  /** Those that are not there any more need no look. */
  onlyOf(isThere: (pod: PodKey) => boolean): void
}

/** `done`: called once or more often. */
export function createFirstLook(done: () => void): FirstLook {
  let left: Set<PodKey> | undefined
  const counting = new Set<PodKey>()
  const look = () => {
    if (left?.size === 0) done()
  }
  return {
    begin: pods => {
      left ??= new Set(pods)
      look()
    },
    get isBegun() {
      return left !== undefined
    },
    starts: pod => {
      if (left) counting.add(pod)
    },
    ends: pod => {
      if (!counting.delete(pod)) return
      left?.delete(pod)
      look()
    },
    onlyOf: isThere => {
      if (!left || left.size === 0) return
      for (const pod of left) if (!isThere(pod)) left.delete(pod)
      look()
    },
  }
}
