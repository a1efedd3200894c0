/** The network that the harness is proved with. */
import {join} from 'node:path'

/** From Debian's containernetworking-plugins. */
export const UPSTREAM = '/usr/lib/cni'

/** bridge and host-local for both families; `more` goes into the plugin's config. `folder`: for the leases. */
export const bridge = (
  folder: string,
  more: {readonly type?: string; readonly [key: string]: unknown} = {},
): object => ({
  cniVersion: '1.0.0',
  name: 'test',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isGateway: true,
      ipam: {
        type: 'host-local',
        dataDir: leasesIn(folder),
        ranges: [[{subnet: '10.99.0.0/24'}], [{subnet: 'fd00:99::/64'}]],
        routes: [{dst: '0.0.0.0/0'}, {dst: '::/0'}],
      },
      ...more,
    },
  ],
})

export const leasesIn = (folder: string): string => join(folder, 'leases')
