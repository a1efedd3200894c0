/** The admin API's view of the cluster's nodes. */
import type {AdminNodes} from '../model/admin.ts'
import type {PassBasis} from '../routes/pass.ts'

export const listNodes = ({cluster}: Pick<PassBasis, 'cluster'>): AdminNodes => ({
  nodes: [...cluster.nodes.values()]
    .sort((a, b) => a.createdAt - b.createdAt || (a.name < b.name ? -1 : 1))
    .map(({name, createdAt, podCIDRs, addresses}) => ({
      node: name,
      own: name === cluster.own?.name,
      createdAt: new Date(createdAt).toISOString(),
      ranges: podCIDRs.map(String),
      addresses: addresses.map(String),
    })),
})
