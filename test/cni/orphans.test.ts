/** Programs that a killed agent has left. Needs root. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import test, {type ExecutionContext} from 'ava'
import {killOrphans, STARTED_BY_US} from '../../src/cni/orphans.ts'

function sleeper(t: ExecutionContext, env: Record<string, string>) {
  // With a child of its own.
  const child = spawn('/bin/sh', ['-c', 'sleep 1000; true'], {env: {PATH: '/usr/bin:/bin', ...env}, detached: true})
  t.teardown(() => {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {}
  })
  return child
}

test('what was started for what is half done is ended, with its children, and nothing else', async t => {
  const id = `ng-${process.pid}`
  const env = {CNI_CONTAINERID: id, CNI_IFNAME: 'net1', ...STARTED_BY_US}
  const orphan = sleeper(t, env)
  const others = [
    sleeper(t, {CNI_CONTAINERID: id, CNI_IFNAME: 'net1'}),
    sleeper(t, {...env, CNI_IFNAME: 'net2'}),
    sleeper(t, {...env, CNI_CONTAINERID: `${id}0`}),
  ]
  await Promise.all([orphan, ...others].map(child => once(child, 'spawn')))
  await new Promise(resolve => setTimeout(resolve, 100))
  const ended = once(orphan, 'exit')
  t.is(await killOrphans([{containerId: id, ifname: 'net1'}]), 2)
  t.deepEqual(await ended, [null, 'SIGKILL'])
  t.is(await killOrphans([{containerId: id, ifname: 'net1'}]), 0)
  t.is(await killOrphans([]), 0)
  for (const {exitCode, signalCode} of others) t.deepEqual([exitCode, signalCode], [null, null])
})
