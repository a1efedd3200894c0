import test from 'ava'
import {enableForwarding} from '../../src/routes/forwarding.ts'
import {kernel} from './support.ts'

const LINKS = [...kernel(['1 lo 127.0.0.1/8 lo', '2 eth0', '3 eth1']).links.values()]

function sysctls(values: Record<string, string>) {
  const order: string[] = []
  return {
    values,
    order,
    read: async (name: string) => {
      if (values[name] === undefined) throw Object.assign(new Error('no such file'), {code: 'ENOENT'})
      return values[name]
    },
    write: async (name: string, value: string) => {
      order.push(name)
      values[name] = value
    },
  }
}

test('forwarding goes on for both families, and router advertisements are kept before it does', async t => {
  const ports = sysctls({
    'ipv4/ip_forward': '0',
    'ipv6/conf/all/forwarding': '0',
    'ipv6/conf/lo/accept_ra': '1',
    'ipv6/conf/eth0/accept_ra': '1',
    'ipv6/conf/eth1/accept_ra': '0',
  })
  t.deepEqual(await enableForwarding(ports, LINKS), [
    'ipv4/ip_forward=1',
    'ipv6/conf/eth0/accept_ra=2',
    'ipv6/conf/all/forwarding=1',
  ])
  t.deepEqual(ports.order.slice(-2), ['ipv6/conf/eth0/accept_ra', 'ipv6/conf/all/forwarding'])
})

test('what is on already is not written', async t => {
  const ports = sysctls({'ipv4/ip_forward': '1', 'ipv6/conf/all/forwarding': '1', 'ipv6/conf/eth0/accept_ra': '2'})
  t.deepEqual(await enableForwarding(ports, LINKS), [])
})

test('a kernel without IPv6 is none the worse', async t => {
  const ports = sysctls({'ipv4/ip_forward': '0'})
  t.deepEqual(await enableForwarding(ports, LINKS), ['ipv4/ip_forward=1'])
})

test('a read-only /proc/sys is told', async t => {
  const ports = {
    ...sysctls({'ipv4/ip_forward': '0'}),
    write: () => Promise.reject(Object.assign(new Error('read-only file system'), {code: 'EROFS'})),
  }
  await t.throwsAsync(enableForwarding(ports, LINKS), {code: 'EROFS'})
})
