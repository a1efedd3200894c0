/** What the native types reach the world through. */
import type {Masquerade} from '../../model/masquerade.ts'
import type {NamespaceKernel} from '../../model/namespace.ts'
import type {FindPlugin} from '../plugin.ts'
import type {Removals} from '../removals.ts'

export interface TypePorts {
  /** The namespace that the pods' links lead to. */
  readonly host: NamespaceKernel
  readonly removals: Removals
  /** Finds the IPAM plugin, too. */
  readonly find: FindPlugin
  readonly masquerade: Masquerade
}
