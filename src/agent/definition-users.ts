/** Pods that ask for a network definition. A relist of definitions asks for each of thousands of names. */
import type {ParsedSelections} from '../attach/selections.ts'
import type {PodFacts, PodKey} from '../streams/pods.ts'

export interface DefinitionUsers {
  /** `name`: "namespace/name" of a definition; undefined: of any. */
  of(name: string | undefined): readonly PodKey[]
  /** The pods have changed. */
  forget(): void
}

interface Index {
  readonly byName: ReadonlyMap<string, readonly PodKey[]>
  readonly any: readonly PodKey[]
}

/** `items` as they are when somebody asks for the first time since they were forgotten. */
export function definitionUsers(
  items: () => ReadonlyMap<PodKey, PodFacts>,
  parse: (pod: PodFacts) => ParsedSelections,
): DefinitionUsers {
  let index: Index | undefined
  return {
    of: name => {
      index ??= indexOf(items(), parse)
      return name === undefined ? index.any : (index.byName.get(name) ?? [])
    },
    forget: () => {
      index = undefined
    },
  }
}

function indexOf(items: ReadonlyMap<PodKey, PodFacts>, parse: (pod: PodFacts) => ParsedSelections): Index {
  const byName = new Map<string, PodKey[]>()
  const any: PodKey[] = []
  for (const [key, pod] of items) {
    const names = new Set(parse(pod).selected.map(({selection: {namespace, name}}) => `${namespace}/${name}`))
    if (names.size > 0) any.push(key)
    for (const name of names) {
      const users = byName.get(name)
      if (users) users.push(key)
      else byName.set(name, [key])
    }
  }
  return {byName, any}
}
