/** Echo requests that are never cut into fragments. Needs root. */
import {execFile} from 'node:child_process'
import {join} from 'node:path'
import {promisify} from 'node:util'
import test from 'ava'
import {addon} from '../../src/netlink/addon.ts'
import {namespaces} from './namespace.ts'

const CHILD = join(import.meta.dirname, 'child', 'echo.ts')

/** From within a namespace: the sizes that came back, or the code of what was thrown. */
async function sizes(netns: string, address: string, ...asked: number[]): Promise<unknown> {
  const words = [`--net=${netns}`, process.execPath, CHILD, address, ...asked.map(String)]
  const {stdout} = await promisify(execFile)('nsenter', words)
  return JSON.parse(stdout)
}

test('what fits comes back, of both families, and what does not is not there', async t => {
  const [a, b] = await namespaces(t, 2)
  a.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', b.name)
  for (const [namespace, n] of [
    [a, 1],
    [b, 2],
  ] as const) {
    namespace.ip('addr', 'add', `192.0.2.${n}/24`, 'dev', 'eth0')
    namespace.ip('addr', 'add', `2001:db8::${n}/64`, 'dev', 'eth0', 'nodad')
    namespace.ip('link', 'set', 'eth0', 'mtu', '1400', 'up')
  }
  t.deepEqual(await sizes(a.path, '192.0.2.2', 28, 576, 1400, 1401, 9000), [28, 576, 1400])
  t.deepEqual(await sizes(a.path, '2001:db8::2', 48, 1280, 1399, 1400, 1401), [48, 1280, 1399, 1400])
  t.deepEqual(await sizes(a.path, '192.0.2.1', 1500, 60_000), [1500, 60_000])
  t.deepEqual(await sizes(a.path, '192.0.2.3', 100), [])
  t.is(await sizes(a.path, '198.51.100.1', 100), 'ENETUNREACH')
  b.exec('sysctl', '-qw', 'net.ipv4.icmp_echo_ignore_all=1')
  t.deepEqual(await sizes(a.path, '192.0.2.2', 100), [])
})

test('an address has 4 or 16 bytes', t => {
  t.is(addon.echoSocket(new Uint8Array(5)), -22)
  t.throws(() => addon.echoSocket('192.0.2.1' as never), {message: /bad arguments/})
})
