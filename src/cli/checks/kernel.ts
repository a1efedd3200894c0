/** What the kernel can and lets us do: kinds of links, nf_tables, forwarding. */
import {randomBytes} from 'node:crypto'
import {TABLE} from '../../masquerade/table.ts'
import type {Config} from '../../model/config.ts'
import {usesTunnels} from '../../model/config-network.ts'
import type {NamespaceKernel} from '../../model/namespace.ts'
import type {LinkKind} from '../../model/net.ts'
import {NftError} from '../../model/nft.ts'
import {OWN_GROUP} from '../../model/plans.ts'
import {nftProgram} from '../../netlink/nft.ts'
import {type Check, failed, ok, skipped} from './check.ts'

export async function checkKernel(kernel: NamespaceKernel, config: Config, searchPath: string): Promise<Check[]> {
  return [
    await checkKind(kernel, 'veth'),
    ...(config.pairs.enabled || config.networks.some(usesTunnels) ? [await checkKind(kernel, 'vxlan')] : []),
    ...(config.networks.some(({pods}) => pods.masquerade) ? [await checkNft(searchPath)] : []),
    await checkSysctl(kernel, 'ipv4/ip_forward'),
    await checkSysctl(kernel, 'ipv6/conf/all/forwarding'),
  ]
}

/** 24 bits, and a port that nobody is asked for: the device is never up. */
const TRIAL = {vni: 2 ** 24 - 1, port: 65_535} as const

/** Makes one, never up, and takes it away in the same breath: the kernel loads its module for that. */
async function checkKind(kernel: NamespaceKernel, type: 'veth' | 'vxlan'): Promise<Check> {
  const stem = `ngc${randomBytes(4).toString('hex')}`
  const name = `${stem}a`
  const kind: LinkKind = type === 'veth' ? {type, peer: {name: `${stem}b`, group: OWN_GROUP}} : {type, ...TRIAL}
  const [made] = await kernel.change([
    {op: 'add', object: 'link', item: {name, group: OWN_GROUP, kind}},
    {op: 'delete', object: 'link', item: name},
  ])
  const {refusal} = made!
  if (!refusal) return ok(type, `links of kind ${type} can be made`)
  const cure = refusal.code === 'EPERM' ? 'run this as root (CAP_NET_ADMIN)' : `load it: modprobe ${type}`
  return failed(type, `no link of kind ${type} can be made (${refusal.message}); ${cure}`)
}

async function checkNft(path: string): Promise<Check> {
  try {
    const table = await nftProgram({path}).list(TABLE)
    return ok('nftables', table ? `table inet ${TABLE} is there` : 'nft works; there is no table of ours yet')
  } catch (error) {
    if (error instanceof NftError && error.trouble === 'missing')
      return failed('nftables', 'there is no program nft, and pods are to be masqueraded; install nftables')
    return failed('nftables', `${(error as Error).message}; load nf_tables, and run this as root`)
  }
}

async function checkSysctl(kernel: NamespaceKernel, name: string): Promise<Check> {
  const title = `net.${name.replaceAll('/', '.')}`
  try {
    const value = (await kernel.readSysctl(name)).trim()
    if (value !== '0') return ok(title, `it is ${value}`)
    return failed(
      title,
      'it is 0, and nothing is passed on to pods; set it to 1, or look why the agent, which sets it, does not',
    )
  } catch (error) {
    const {code, message} = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return skipped(title, 'this kernel has no such family')
    return failed(title, `it cannot be read: ${message}; run this as root`)
  }
}
