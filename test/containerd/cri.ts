/** A client of the Container Runtime Interface, runtime/v1: what the kubelet speaks to a runtime. */
import {join} from 'node:path'
import {type Client, credentials, loadPackageDefinition, type ServiceClientConstructor} from '@grpc/grpc-js'
import {loadSync} from '@grpc/proto-loader'

/** Milliseconds. No call of a test takes as long as that on a busy machine. */
const DEADLINE = 60_000

/** The messages are those of cri.proto, in its own spelling. */
export interface Cri {
  status(request: {verbose?: boolean}): Promise<{status: {conditions: Condition[]}; info: Record<string, string>}>
  runPodSandbox(request: {config: PodSandboxConfig}): Promise<{pod_sandbox_id: string}>
  stopPodSandbox(request: {pod_sandbox_id: string}): Promise<void>
  removePodSandbox(request: {pod_sandbox_id: string}): Promise<void>
  podSandboxStatus(request: {pod_sandbox_id: string; verbose?: boolean}): Promise<PodSandboxStatus>
  listPodSandbox(request: object): Promise<{items: {id: string; metadata: PodSandboxMetadata}[]}>
  createContainer(request: {
    pod_sandbox_id: string
    config: {metadata: {name: string; attempt?: number}; image: {image: string}; command: string[]; log_path?: string}
    sandbox_config: PodSandboxConfig
  }): Promise<{container_id: string}>
  startContainer(request: {container_id: string}): Promise<void>
  /** `timeout`: seconds. */
  execSync(request: {container_id: string; cmd: string[]; timeout: number}): Promise<ExecResult>
  close(): void
}

export interface Condition {
  readonly type: string
  readonly status: boolean
  readonly reason: string
  readonly message: string
}

export interface PodSandboxMetadata {
  readonly name: string
  readonly uid: string
  readonly namespace: string
  /** How many sandboxes the pod has had before. @default 0 */
  readonly attempt?: number
}

export interface PortMapping {
  /** @default 'TCP' */
  readonly protocol?: 'TCP' | 'UDP' | 'SCTP'
  readonly container_port: number
  readonly host_port: number
  readonly host_ip?: string
}

export interface PodSandboxConfig {
  readonly metadata: PodSandboxMetadata
  readonly hostname: string
  readonly log_directory: string
  readonly port_mappings: readonly PortMapping[]
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly linux: {
    readonly cgroup_parent: string
    readonly security_context?: {readonly namespace_options: {readonly network: 'POD' | 'NODE'}}
  }
}

interface PodSandboxStatus {
  readonly status: {
    readonly state: 'SANDBOX_READY' | 'SANDBOX_NOTREADY'
    readonly network: {readonly ip: string; readonly additional_ips: readonly {readonly ip: string}[]} | null
  }
  /** When verbose: `info.info` is JSON with the runtime's own view. */
  readonly info: Readonly<Record<string, string>>
}

interface ExecResult {
  readonly stdout: Buffer
  readonly stderr: Buffer
  readonly exit_code: number
}

const METHODS = {
  status: 'Status',
  runPodSandbox: 'RunPodSandbox',
  stopPodSandbox: 'StopPodSandbox',
  removePodSandbox: 'RemovePodSandbox',
  podSandboxStatus: 'PodSandboxStatus',
  listPodSandbox: 'ListPodSandbox',
  createContainer: 'CreateContainer',
  startContainer: 'StartContainer',
  execSync: 'ExecSync',
} as const

type Unary = (
  request: object,
  options: {deadline: number},
  done: (error: Error | null, answer: unknown) => void,
) => unknown

/** `socket`: the runtime's. Calls reject with gRPC's ServiceError. */
export function connectCri(socket: string): Cri {
  const file = loadSync(join(import.meta.dirname, 'cri.proto'), {keepCase: true, enums: String, defaults: true})
  // biome-ignore lint/suspicious/noExplicitAny: made from the file at run time
  const Service = (loadPackageDefinition(file) as any).runtime.v1.RuntimeService as ServiceClientConstructor
  const client = new Service(`unix://${socket}`, credentials.createInsecure()) as Client & Record<string, Unary>
  const call = (method: string) => (request: object) =>
    new Promise((resolve, reject) => {
      client[method]!(request, {deadline: Date.now() + DEADLINE}, (error, answer) => {
        if (error) reject(new Error(`${method}: ${error.message}`, {cause: error}))
        else resolve(answer)
      })
    })
  const calls = Object.entries(METHODS).map(([name, method]) => [name, call(method)])
  return {...Object.fromEntries(calls), close: () => client.close()} as Cri
}
