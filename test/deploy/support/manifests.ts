/** The manifests as an operator's kubectl renders them. */
import {execFileSync} from 'node:child_process'
import {join} from 'node:path'
import {parseAllDocuments} from 'yaml'

export const ROOT = join(import.meta.dirname, '..', '..', '..')
export const OVERLAYS = ['default-cni', 'attachments-only', 'etcd'] as const

export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
  }
  // biome-ignore lint/suspicious/noExplicitAny: each kind has its own
  readonly [key: string]: any
}

/** `folder`: of deploy. Throws with kubectl's own words. */
export function render(folder: string): Manifest[] {
  const text = execFileSync('kubectl', ['kustomize', join(ROOT, 'deploy', folder)], {encoding: 'utf8'})
  return documents(text)
}

export const documents = (text: string): Manifest[] =>
  parseAllDocuments(text).map(document => {
    if (document.errors.length > 0) throw document.errors[0]
    return document.toJS() as Manifest
  })

export function only(manifests: readonly Manifest[], kind: string): Manifest {
  const found = manifests.filter(manifest => manifest.kind === kind)
  if (found.length !== 1) throw new Error(`${found.length} of kind ${kind}`)
  return found[0]!
}

export interface Mount {
  readonly name: string
  readonly mountPath: string
  readonly readOnly?: boolean
  readonly mountPropagation?: 'None' | 'HostToContainer' | 'Bidirectional'
}

export interface Container {
  readonly name: string
  readonly image: string
  readonly command?: readonly string[]
  readonly args?: readonly string[]
  readonly volumeMounts?: readonly Mount[]
  readonly securityContext: {
    readonly privileged?: boolean
    readonly readOnlyRootFilesystem: boolean
    readonly allowPrivilegeEscalation: boolean
    readonly capabilities: {readonly drop: readonly string[]; readonly add?: readonly string[]}
  }
}

export interface Volume {
  readonly name: string
  readonly hostPath?: {readonly path: string; readonly type?: string}
  readonly configMap?: {readonly name: string}
  readonly secret?: {readonly secretName: string}
  readonly emptyDir?: {readonly medium?: string}
}

export interface PodSpec {
  readonly initContainers: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes: readonly Volume[]
  readonly automountServiceAccountToken?: boolean
}

export const podSpec = (manifests: readonly Manifest[]): PodSpec => only(manifests, 'DaemonSet').spec.template.spec

/** By its name, of either list. */
export function containerOf({initContainers, containers}: PodSpec, name: string): Container {
  const found = [...initContainers, ...containers].find(each => each.name === name)
  if (!found) throw new Error(`no container ${name}`)
  return found
}
