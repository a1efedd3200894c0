/** What a pod's annotations ask for against what stands: what is to be attached, changed, left and taken away. Pure. */
import type {DefinitionRef, Selected, Selection, SelectionProblem} from '../model/attachment.ts'

/** A further network that the pod has, as the journal tells of it. */
export interface Standing {
  readonly ifname: string
  readonly origin: 'pod' | 'annotation' | 'request'
  readonly selection: Selection
  readonly definition: DefinitionRef
  /** Of the definition, canonical. */
  readonly config: string
  readonly device?: string | undefined
}

/** A selection whose definition has been found and may be used. `list`: what is to be run for it. */
export interface Resolved<L> {
  readonly definition: DefinitionRef
  readonly config: string
  readonly device?: string | undefined
  /** Of which it is one. */
  readonly resource?: string | undefined
  readonly list: L
}

export interface Unresolved {
  /** A sentence that says why, and what to do. */
  readonly reason: string
  /** It may be different the next time, though nothing else changes. */
  readonly again: boolean
}

/** An element of the annotations with its interface's name. */
export interface Named {
  readonly selected: Selected
  readonly ifname: string
}

export type Wish<L> = Named & {readonly resolution: Resolved<L> | Unresolved}

export type Wanted<L> = Named & {readonly resolution: Resolved<L>}

export interface AttachmentPlan<L, S extends Standing> {
  readonly attach: readonly Wanted<L>[]
  readonly change: readonly {readonly from: S; readonly to: Wanted<L>}[]
  readonly detach: readonly S[]
  /** `reason`: why it stays as it is, though something else is asked for. */
  readonly keep: readonly {readonly standing: S; readonly at: string; readonly reason?: string}[]
  readonly refused: readonly (Named & Unresolved)[]
}

export function planAttachments<L, S extends Standing>(
  wishes: readonly Wish<L>[],
  standing: readonly S[],
  problems: readonly SelectionProblem[],
): AttachmentPlan<L, S> {
  const attach: Wanted<L>[] = []
  const change: {from: S; to: Wanted<L>}[] = []
  const keep: {standing: S; at: string; reason?: string}[] = []
  const refused: (Named & Unresolved)[] = []
  const left = new Map(standing.map(each => [each.ifname, each]))
  for (const wish of wishes) {
    const {resolution, selected} = wish
    const at = selected.at
    const have = left.get(wish.ifname)
    left.delete(wish.ifname)
    if (!isResolved(resolution)) {
      if (have && isOf(have, selected.selection)) keep.push({standing: have, at, reason: resolution.reason})
      else refused.push({...wish, ...resolution})
      // Another one has its name: what is asked for has to come first before that goes.
      if (have && !isOf(have, selected.selection)) keep.push({standing: have, at})
    } else if (!have) attach.push({...wish, resolution})
    else if (isSame(have, selected.selection, resolution)) keep.push({standing: have, at})
    else change.push({from: have, to: {...wish, resolution}})
  }
  const detach: S[] = []
  for (const each of left.values()) {
    const meant = problems.find(({means}) => !means || isOf(each, means))
    if (each.origin === 'request' || each.selection.startOnly) keep.push({standing: each, at: ''})
    else if (meant) keep.push({standing: each, at: meant.at, reason: meant.message})
    else detach.push(each)
  }
  return {attach, change, detach, keep, refused}
}

export const isResolved = <L>(resolution: Resolved<L> | Unresolved): resolution is Resolved<L> => 'list' in resolution

const isOf = ({selection}: Standing, {namespace, name}: {readonly namespace: string; readonly name: string}): boolean =>
  selection.namespace === namespace && selection.name === name

/** Another agent may make another list of the same words: that alone changes nothing that works. */
const isSame = <L>(have: Standing, selection: Selection, {definition, config, device}: Resolved<L>): boolean =>
  have.config === config &&
  have.device === device &&
  have.definition.kind === definition.kind &&
  have.definition.namespace === definition.namespace &&
  have.definition.name === definition.name &&
  essence(have.selection) === essence(selection)

/** What makes a difference to what stands: not which of the annotations says it, nor what matters at the start only. */
function essence(selection: Selection): string {
  const {dialect, optional, startOnly, interface: _, ...rest} = selection
  return JSON.stringify(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)))
}
