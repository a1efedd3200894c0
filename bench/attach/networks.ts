/** The networks of a run: the pods' first one, and bridges without an address of their own beside it. */
import {readdir, readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {parse} from 'yaml'
import type {Api} from '../api.ts'
import {CNI_VERSION} from '../cni/sides.ts'

/** How many there are beside the first. */
export const FURTHER = 8
export const ANNOTATION = 'k8s.v1.cni.cncf.io/networks'
const CRDS = join(import.meta.dirname, '..', '..', 'deploy', 'crds')
const DEFINITIONS = '/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions'

/** "n0". */
export const networkName = (n: number): string => `n${n}`

/** What its addresses begin with. */
export const prefixOf = (n: number): string => `10.${110 + n}.`

/** "further0" of "n0". */
export const bridgeOf = (network: string): string => network.replace('n', 'further')

/** A plugin's config. @param leases the folder of host-local */
export const furtherConf = (n: number, leases: string): object => ({
  cniVersion: CNI_VERSION,
  name: networkName(n),
  type: 'bridge',
  bridge: bridgeOf(networkName(n)),
  ipam: {type: 'host-local', dataDir: leases, ranges: [[{subnet: `${prefixOf(n)}0.0/16`}]]},
})

export const firstConf = (leases: string): object => ({
  cniVersion: CNI_VERSION,
  name: 'first',
  type: 'bridge',
  bridge: 'cni0',
  isGateway: true,
  ipam: {type: 'host-local', dataDir: leases, ranges: [[{subnet: '10.88.0.0/16'}]], routes: [{dst: '0.0.0.0/0'}]},
})

/** Both kinds of definitions, and a definition for each of the further networks. */
export async function define(api: Api, leases: string): Promise<void> {
  for (const file of (await readdir(CRDS)).filter(name => name.endsWith('.yaml'))) {
    const crd = parse(await readFile(join(CRDS, file), 'utf8')) as object
    await api.send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd)
  }
  for (let n = 0; n < FURTHER; n++)
    await api.send('POST', DEFINITIONS, {
      apiVersion: 'k8s.cni.cncf.io/v1',
      kind: 'NetworkAttachmentDefinition',
      metadata: {name: networkName(n), namespace: 'default'},
      spec: {config: JSON.stringify(furtherConf(n, leases))},
    })
}
