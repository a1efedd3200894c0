/** What the domains ask the edges to do. */
import type {Ip} from './ip.ts'
import type {KernelState} from './kernel.ts'
import type {Address, FdbEntry, IfIndex, Link, LinkSpec, Mac, Neighbour, Route} from './net.ts'

/**
 * add: only where no route of that destination and metric stands. replace: over one that is known as ours.
 * delete: exactly this one; one that has gone already is a success.
 */
export interface RouteChange {
  readonly object: 'route'
  readonly op: 'add' | 'replace' | 'delete'
  readonly item: Route
}

/** Of a device that is ours, with everything on it. replace: over whatever the kernel has of that address. */
export interface NeighbourChange {
  readonly object: 'neighbour'
  readonly op: 'replace' | 'delete'
  readonly item: Neighbour
}

/** Of a device that is ours. add: where the MAC leads nowhere yet. */
export interface FdbChange {
  readonly object: 'fdb'
  readonly op: 'add' | 'delete'
  readonly item: FdbEntry
}

/** Of a device that is ours. */
export interface AddressChange {
  readonly object: 'address'
  readonly op: 'add' | 'delete'
  readonly item: Address
}

/** add: with its alias, in one go. set: what can be changed in place. */
export type LinkChange =
  | {readonly object: 'link'; readonly op: 'add'; readonly item: OwnLinkSpec}
  | {readonly object: 'link'; readonly op: 'set'; readonly item: Link; readonly to: OwnLinkSettings}
  | {readonly object: 'link'; readonly op: 'delete'; readonly item: Link}

export type Change = RouteChange | NeighbourChange | FdbChange | AddressChange | LinkChange

/** A link that bears our marks. */
export type OwnLinkSpec = LinkSpec & {readonly alias: string; readonly group: number}

/** What of a link of ours may have drifted and can be put right without making it anew. */
export interface OwnLinkSettings {
  readonly up?: true
  /** Bytes. */
  readonly mtu?: number
  readonly mac?: Mac
  readonly alias?: string
  readonly group?: number
}

/** A change that the kernel refused. */
export interface Refusal {
  /** The errno's name. */
  readonly code: string
  /** One sentence part: what was asked, and the kernel's own words. */
  readonly message: string
}

/** Undefined: it has been made. stood: it was there already, though nobody had told. */
export type Outcome = Refusal | 'stood' | undefined

/** Carries changes out. */
export interface KernelWriter {
  /** Per change, in order. Rejects only when an outcome is unknown. */
  write(changes: readonly Change[]): Promise<readonly Outcome[]>
  /** Lets the kernel look for the MACs of neighbours; what comes of it is seen in its state. Refusals are no matter. */
  resolve(neighbours: readonly {readonly index: IfIndex; readonly ip: Ip}[]): Promise<void>
  /** Resolves once the kernel's state holds what was written: with that state, as the next pass will see it. */
  settle(): Promise<KernelState | undefined>
}

/** Marks of the links that are ours: their group, and how their alias begins ("netgraft:<owner>"). */
export const OWN_GROUP = 0x6e67
export const OWN_ALIAS = 'netgraft:'

/** An alias of somebody else's makes it theirs; none at all is what a process that was killed half-way leaves. */
export const isOwnLink = ({alias, group}: Link): boolean => alias?.startsWith(OWN_ALIAS) ?? group === OWN_GROUP

/** A tunnel's device by its family, as far as it stands. */
export type Devices = Readonly<Partial<Record<4 | 6, IfIndex>>>
