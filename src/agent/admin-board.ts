/** What the admin API looks at: each domain leaves here what is known of it now, or how it is asked. */
import type {AdminApi, AdminPairs} from '../model/admin.ts'
import type {NetworkName} from '../model/config-network.ts'
import type {NodeName} from '../model/facts.ts'
import type {PassBasis, RouteReport} from '../routes/pass.ts'
import type {PodKey} from '../streams/pods.ts'
import type {Notice} from '../streams/reflector.ts'
import type {View} from '../streams/view.ts'
import type {OpenFront} from './cni-open.ts'
import {createCniRefusals} from './cni-refusals.ts'
import type {PodReport} from './pod-pass.ts'

/** Of one network. */
export interface KnownRoutes {
  readonly report: RouteReport
  readonly passedAt: Date
  /** Of the last pass that did not break. */
  readonly basis: PassBasis | undefined
}

export interface PairsView {
  list(): AdminPairs
  store(): {readonly ready: boolean; readonly reason: string | undefined}
}

export class AdminBoard {
  readonly startedAt = new Date()
  readonly routes = new Map<NetworkName, KnownRoutes>()
  /** What the last pass over a pod's further networks came to. */
  readonly pods = new Map<PodKey, Pick<PodReport, 'states'>>()
  readonly refusals = createCniRefusals()
  open: OpenFront | undefined
  pairs: PairsView | undefined
  self: NodeName | undefined
  #heardAt: Date | undefined
  #trouble: string | undefined
  #savedAt: Date | undefined

  get api(): AdminApi {
    return {
      ...(this.#heardAt && {heardAt: this.#heardAt.toISOString()}),
      ...(this.#trouble !== undefined && {trouble: this.#trouble}),
      ...(this.#savedAt && {savedAt: this.#savedAt.toISOString()}),
    }
  }

  hearRoutes(report: RouteReport): void {
    const basis = report.basis ?? this.routes.get(report.network)?.basis
    this.routes.set(report.network, {report, passedAt: new Date(), basis})
    if (basis?.cluster.own) this.self = basis.cluster.own.name
  }

  hearPod({key, pod, states}: PodReport): void {
    if (pod && states.length > 0) this.pods.set(key, {states})
    else this.pods.delete(key)
  }

  hearNodes(view: View<unknown, unknown>): void {
    this.#savedAt = view.synced && view.stale ? new Date(view.stale.savedAt) : undefined
  }

  /** Of the watch of nodes. */
  heard(tell: () => void): () => void {
    return () => {
      this.#heardAt = new Date()
      this.#trouble = undefined
      tell()
    }
  }

  /** Likewise. */
  noticed(tell: (notice: Notice) => void): (notice: Notice) => void {
    return notice => {
      if (notice.type === 'failed' && !notice.gone) this.#trouble = notice.error.message
      tell(notice)
    }
  }
}
