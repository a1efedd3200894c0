/** The journal's entries by what they are of: a node has thousands, a pod a few of them. */
import type {Entry} from './journal.ts'

export interface EntryIndex {
  /** In the order in which they were begun. */
  ofContainer(containerId: string): readonly Entry[]
  /** Of pods of that name, whatever their UIDs. */
  ofPod(pod: PodName): readonly Entry[]
}

interface PodName {
  readonly namespace: string
  readonly name: string
}

export interface KeptEntryIndex extends EntryIndex {
  put(key: string, entry: Entry): void
  remove(key: string): void
}

export function createEntryIndex(): KeptEntryIndex {
  const byContainer = groups(({plan}) => plan.containerId)
  const byPod = groups(({plan: {pod}}) => pod && nameOf(pod))
  return {
    ofContainer: byContainer.of,
    ofPod: pod => byPod.of(nameOf(pod)),
    put: (key, entry) => {
      for (const each of [byContainer, byPod]) each.put(key, entry)
    },
    remove: key => {
      for (const each of [byContainer, byPod]) each.remove(key)
    },
  }
}

/** No namespace has a slash. */
const nameOf = ({namespace, name}: PodName): string => `${namespace}/${name}`

function groups(groupOf: (entry: Entry) => string | undefined) {
  const members = new Map<string, Map<string, Entry>>()
  const places = new Map<string, string>()
  const remove = (key: string): void => {
    const group = places.get(key)
    if (group === undefined) return
    const known = members.get(group)!
    known.delete(key)
    if (known.size === 0) members.delete(group)
    places.delete(key)
  }
  return {
    of: (group: string): readonly Entry[] => [...(members.get(group)?.values() ?? [])],
    put: (key: string, entry: Entry): void => {
      const group = groupOf(entry)
      if (places.get(key) !== group) remove(key)
      if (group === undefined) return
      places.set(key, group)
      const known = members.get(group)
      if (known) known.set(key, entry)
      else members.set(group, new Map([[key, entry]]))
    },
    remove,
  }
}
