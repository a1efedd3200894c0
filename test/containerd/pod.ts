/** Pods, as the kubelet has them made. */
import {randomUUID} from 'node:crypto'
import type {Cri, PodSandboxConfig, PortMapping} from './cri.ts'
import {IDLE, IMAGE} from './image.ts'

/** Seconds that a command in a container may take. */
const EXEC_TIMEOUT = 30

export interface PodOptions {
  readonly name: string
  /** The pod's Kubernetes namespace. @default 'default' */
  readonly namespace?: string
  /** @default a random one */
  readonly uid?: string
  /** How many sandboxes the pod has had before. @default 0 */
  readonly attempt?: number
  readonly annotations?: Readonly<Record<string, string>>
  readonly portMappings?: readonly PortMapping[]
  /** In the network of the runtime. @default false */
  readonly hostNetwork?: boolean
}

export interface Pod {
  /** Of the sandbox: CNI_CONTAINERID. */
  readonly id: string
  readonly name: string
  readonly uid: string
  /** CNI_NETNS. */
  readonly netns: string
  /** What the runtime takes for the pod's address, and all of them. */
  readonly ip: string
  readonly ips: readonly string[]
  /** Runs a program in the container: its output. Rejects with what it said where it fails. */
  exec(...command: string[]): Promise<string>
  /** DEL, and the end of its processes. May be repeated. */
  stop(): Promise<void>
  /** Stops it where it still runs. */
  remove(): Promise<void>
}

export async function runPod(
  cri: Cri,
  {cgroup, logs}: {readonly cgroup: string; readonly logs: string},
  {
    name,
    namespace = 'default',
    uid = randomUUID(),
    attempt = 0,
    annotations = {},
    portMappings = [],
    hostNetwork = false,
  }: PodOptions,
): Promise<Pod> {
  const config: PodSandboxConfig = {
    metadata: {name, uid, namespace, attempt},
    // As the kubelet does: the node's own name is not for a pod to set.
    hostname: hostNetwork ? '' : name,
    log_directory: logs,
    port_mappings: portMappings,
    labels: {
      'io.kubernetes.pod.name': name,
      'io.kubernetes.pod.namespace': namespace,
      'io.kubernetes.pod.uid': uid,
    },
    annotations,
    linux: {
      cgroup_parent: `/${cgroup}`,
      security_context: {namespace_options: {network: hostNetwork ? 'NODE' : 'POD'}},
    },
  }
  const {pod_sandbox_id: id} = await cri.runPodSandbox({config})
  const {container_id: container} = await cri.createContainer({
    pod_sandbox_id: id,
    config: {metadata: {name: 'main', attempt}, image: {image: IMAGE}, command: [...IDLE]},
    sandbox_config: config,
  })
  await cri.startContainer({container_id: container})
  const {status, info} = await cri.podSandboxStatus({pod_sandbox_id: id, verbose: true})
  const {ip = '', additional_ips = []} = status.network ?? {}
  return {
    id,
    name,
    uid,
    netns: netnsOf(info.info ?? '{}'),
    ip,
    ips: [ip, ...additional_ips.map(each => each.ip)],
    exec: async (...command) => {
      const {exit_code, stdout, stderr} = await cri.execSync({
        container_id: container,
        cmd: command,
        timeout: EXEC_TIMEOUT,
      })
      if (exit_code === 0) return stdout.toString()
      throw new Error(`${command.join(' ')} in pod ${name} ends with ${exit_code}: ${stdout}${stderr}`)
    },
    stop: () => cri.stopPodSandbox({pod_sandbox_id: id}),
    remove: async () => {
      await cri.stopPodSandbox({pod_sandbox_id: id})
      await cri.removePodSandbox({pod_sandbox_id: id})
    },
  }
}

/** Of the sandbox's OCI spec, which containerd tells of when asked to be verbose. */
function netnsOf(info: string): string {
  const {runtimeSpec} = JSON.parse(info) as {
    runtimeSpec?: {linux: {namespaces: {type: string; path?: string}[]}}
  }
  return runtimeSpec?.linux.namespaces.find(each => each.type === 'network')?.path ?? ''
}
