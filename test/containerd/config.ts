/** What containerd is told: everything of its own lies under one folder. */
import {join} from 'node:path'
import {IMAGE} from './image.ts'

export interface Folders {
  /** The one that all others are in. */
  readonly folder: string
  readonly conf: string
  readonly bin: string
  /** The runtime's socket. */
  readonly socket: string
  readonly state: string
}

export const foldersOf = (folder: string): Folders => ({
  folder,
  conf: join(folder, 'net.d'),
  bin: join(folder, 'bin'),
  socket: join(folder, 'containerd.sock'),
  state: join(folder, 'state'),
})

/** Where ctr's own runc keeps its containers; CRI's are told in the config. */
export const runcRoot = ({folder}: Folders): string => join(folder, 'runc')

/**
 * config.toml, version 2, as containerd 1.6 reads it. The score of the OOM killer is left alone because lowering it takes
 * CAP_SYS_RESOURCE, which a test machine may lack: without that no sandbox starts at all.
 */
export const config = (folders: Folders): string => `version = 2
root = ${text(join(folders.folder, 'root'))}
state = ${text(folders.state)}
disabled_plugins = [${UNUSED.map(text).join(', ')}]

[grpc]
  address = ${text(folders.socket)}

[plugins."io.containerd.internal.v1.opt"]
  path = ${text(join(folders.folder, 'opt'))}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = ${text(IMAGE)}
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = ${text(folders.conf)}
    bin_dir = ${text(folders.bin)}
    max_conf_num = 1
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = ${text(runcRoot(folders))}
`

/** They look for devices and kernel modules. */
const UNUSED = [
  'io.containerd.snapshotter.v1.aufs',
  'io.containerd.snapshotter.v1.btrfs',
  'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.snapshotter.v1.overlayfs',
  'io.containerd.snapshotter.v1.zfs',
  'io.containerd.tracing.processor.v1.otlp',
  'io.containerd.internal.v1.tracing',
]

/** A basic string of TOML is one of JSON as far as paths go. */
const text = (value: string): string => JSON.stringify(value)
