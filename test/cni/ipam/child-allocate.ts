/** Takes and gives back addresses, in a process of its own: `node … <data dir> <name> <rounds>`. Prints what it holds. */
import {hostLocal} from '../../../src/cni/ipam/host-local.ts'
import {openFiles} from '../../../src/netlink/files.ts'
import {callOf} from './upstream.ts'

const [, , dataDir = '', name = '', rounds = '1'] = process.argv
const config = {
  cniVersion: '1.0.0',
  name: 'net',
  type: 'bridge',
  ipam: {type: 'host-local', dataDir, ranges: [[{subnet: '10.1.0.0/16'}], [{subnet: 'fd00::/64'}]]},
}
const plugin = hostLocal({files: await openFiles()})

for (let i = 0; i < Number(rounds); i++) {
  const call = callOf({id: `${name}-${i}`, config})
  const {ips} = await plugin.add(call)
  // Every third is given back.
  if (i % 3 === 2) await plugin.del(call)
  else for (const {address} of ips) process.stdout.write(`${address} ${call.containerId}\n`)
}
