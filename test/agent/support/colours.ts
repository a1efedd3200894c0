/** Networks by a program that records its calls, and by ourselves. Needs root. */
import type {ExecutionContext} from 'ava'
import {type Networks, type Started, startNetworks} from './networks.ts'
import type {NodeOptions} from './node.ts'
import {Recorder} from './recorder.ts'

/** Networks red, green and blue: by a program, and by ourselves. */
export async function colours(
  t: ExecutionContext,
  options: NodeOptions = {},
): Promise<{networks: Networks; recorder: Recorder}> {
  const networks = await startNetworks(t, options)
  const recorder = new Recorder(t)
  networks.path = [recorder.folder, '/usr/lib/cni']
  networks.define('red', recorder.conf('red', '192.168.41.0/24'))
  networks.define('green', recorder.conf('green', '192.168.42.0/24', {type: 'bridge'}))
  networks.define('blue', recorder.conf('blue', '192.168.43.0/24', {type: 'bridge'}))
  return {networks, recorder}
}

/** Of pods: nothing of them is left, and no lease. */
export async function ends(
  t: ExecutionContext,
  networks: Networks,
  recorder: Recorder,
  ...pods: Started[]
): Promise<void> {
  for (const pod of pods) await networks.runtime.succeeds('DEL', pod, networks.asked(pod))
  await networks.runtime.clean()
  t.deepEqual(recorder.leases(), [])
}
