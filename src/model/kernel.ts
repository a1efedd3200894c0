/** What the kernel tells of itself: its changes, and the mirror that they keep. */
import type {ChangeLog} from './change-log.ts'
import type {Address, FdbEntry, IfIndex, Link, Mac, Neighbour, Route, Rule} from './net.ts'

interface ChangeOf<Name extends string, Item> {
  readonly object: Name
  /** False: it is there now, as `item` says. True: it is gone. */
  readonly gone: boolean
  readonly item: Item
  /** It took the place of the one of the same key (NLM_F_REPLACE). */
  readonly replaces?: boolean
  /** One of our own requests caused it. */
  readonly own?: boolean
  /** The id of the other namespace in which it happened. */
  readonly nsid?: number | undefined
}

export type KernelChange =
  | ChangeOf<'link', Link>
  /** Of a bridge's port, what is told of it alone. */
  | ChangeOf<'port', {readonly index: IfIndex; readonly hairpin: boolean}>
  | ChangeOf<'address', Address>
  | ChangeOf<'route', Route>
  | ChangeOf<'neighbour', Neighbour>
  | ChangeOf<'fdb', FdbEntry>
  | ChangeOf<'rule', Rule>
  /** A nexthop object (`ip nexthop`): routes that use it change or go with it, of which the kernel does not tell. */
  | ChangeOf<'nexthop', {readonly id?: number}>

export type KernelEvent =
  /** The socket is open: a dump that starts now misses nothing. */
  | {readonly kind: 'listening'}
  | {
      readonly kind: 'changes'
      readonly changes: readonly KernelChange[] /** `performance.now()`. */
      readonly at: number
    }
  /** ENOBUFS: some changes were never told. */
  | {readonly kind: 'lost'}

/** Everything that a mirror holds, as dumps bring it. */
export interface KernelSnapshot {
  readonly links: readonly Link[]
  readonly addresses: readonly Address[]
  /** The main table. */
  readonly routes: readonly Route[]
  /** IPv4's of all devices, and IPv6's of vxlan devices. */
  readonly neighbours: readonly Neighbour[]
  /** Of vxlan devices. */
  readonly fdb: readonly FdbEntry[]
}

/** A key of the state's maps under which something has changed. */
export type ChangedKey =
  | {readonly object: 'route'; readonly destination: string}
  | {readonly object: 'neighbour'; readonly index: IfIndex; readonly ip: string}
  | {readonly object: 'fdb'; readonly index: IfIndex; readonly mac: Mac}

/** What the kernel has. Live: true until the next view is emitted. */
export interface KernelState {
  readonly links: ReadonlyMap<IfIndex, Link>
  readonly addresses: ReadonlyMap<IfIndex, readonly Address[]>
  /** The main table, by the destination's text. */
  readonly routes: ReadonlyMap<string, readonly Route[]>
  /** Of each device, by the address's text: of a vxlan device all, of others those of IPv4 whose MAC is known. */
  readonly neighbours: ReadonlyMap<IfIndex, ReadonlyMap<string, Neighbour>>
  /** Of each vxlan device, by MAC: usually one remote each. */
  readonly fdb: ReadonlyMap<IfIndex, ReadonlyMap<Mac, readonly FdbEntry[]>>
  /** Of routes, neighbours and FDB entries. */
  readonly log?: ChangeLog<ChangedKey>
}

export type KernelView =
  | {readonly synced: false; readonly reason: string}
  | {
      readonly synced: true
      readonly state: KernelState /** When the newest change arrived: `performance.now()`. */
      readonly at: number
    }
