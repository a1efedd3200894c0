/** Selections of pods, remembered until their texts change: our own status comes back as one more edit of each pod. */
import {type ParsedSelections, parseSelections} from '../attach/selections.ts'
import {POD_ANNOTATIONS, type PodKey} from '../streams/pods.ts'

type Annotations = Readonly<Record<string, string>>

interface Known {
  readonly npwg: string | undefined
  readonly kaloom: string | undefined
  readonly selections: ParsedSelections
}

/** `kept`: of pods that are not among these, nothing is remembered for long. */
export function parseOnce(
  kept: () => {readonly size: number; has(key: PodKey): boolean},
): (pod: {readonly namespace: string; readonly name: string}, annotations: Annotations) => ParsedSelections {
  const remembered = new Map<PodKey, Known>()
  return ({namespace, name}, annotations) => {
    const {[POD_ANNOTATIONS.npwg]: npwg, [POD_ANNOTATIONS.kaloom]: kaloom} = annotations
    const key = `${namespace}/${name}`
    const known = remembered.get(key)
    if (known && known.npwg === npwg && known.kaloom === kaloom) {
      // Their texts may be copies: those before need not be kept.
      remembered.set(key, {...known, npwg, kaloom})
      return known.selections
    }
    const selections = parseSelections(annotations, namespace)
    remembered.set(key, {npwg, kaloom, selections})
    const pods = kept()
    if (remembered.size > pods.size) for (const each of remembered.keys()) if (!pods.has(each)) remembered.delete(each)
    return selections
  }
}
