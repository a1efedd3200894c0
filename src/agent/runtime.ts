/** What the container runtime and the kubelet are asked: a running pod's namespace, and its devices. */
import {openPodResources} from '../cri/pod-resources.ts'
import {openCri} from '../cri/sandboxes.ts'
import type {Config} from '../model/config.ts'
import {POD_ANNOTATIONS} from '../streams/pods.ts'
import type {Devices} from './pod-networks.ts'
import type {PodPassPorts} from './pod-pass.ts'

export interface Runtime {
  readonly findSandbox: PodPassPorts['findSandbox']
  readonly devices: Devices
}

/** Where the plugins of a pod are whose ADD nobody remembers. */
const PLUGIN_FOLDERS = ['/opt/cni/bin', '/usr/lib/cni']
/** Of our conflist. */
const NETWORK = 'netgraft'

export function createRuntime({
  config,
  closing,
}: {
  readonly config: Config
  readonly closing: (() => Promise<void>)[]
}): Runtime {
  const {criSockets, podResources} = config.attachments
  const cri = openCri({sockets: criSockets})
  const kubelet = openPodResources({socket: podResources})
  closing.push(async () => {
    cri.close()
    kubelet.close()
  })
  return {
    findSandbox: async ({namespace, name, uid, annotations}, signal) => {
      const configHash = annotations[POD_ANNOTATIONS.configHash]
      const pod = {namespace, name, uid, ...(configHash !== undefined && {configHash})}
      const found = await cri.findSandbox(pod, signal)
      return found && {containerId: found.id, netns: found.netns, path: PLUGIN_FOLDERS, network: NETWORK}
    },
    devices: (pod, signal) => kubelet.devices(pod, signal),
  }
}
