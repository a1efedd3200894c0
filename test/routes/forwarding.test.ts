import test from 'ava'
import type {IfIndex} from '../../src/model/net.ts'
import {forwardingKeeper} from '../../src/routes/forwarding.ts'
import {kernel, route} from './support.ts'

/** eth0 has a learnt default route; pod0 is none of the underlay. */
const STATE = kernel(['1 lo 127.0.0.1/8 lo', '2 eth0', '3 pod0'], [route('::/0 via fe80::1 dev 2 proto 9 metric 1024')])

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

const OFF = {
  'ipv4/ip_forward': '0',
  'ipv6/conf/all/forwarding': '0',
  'ipv6/conf/eth0/accept_ra': '1',
  'ipv6/conf/eth0/forwarding': '0',
  'ipv6/conf/pod0/accept_ra': '1',
  'ipv6/conf/pod0/forwarding': '0',
}

test('forwarding goes on for both families; what lives on router advertisements keeps them, pods may send none', async t => {
  const ports = sysctls({...OFF})
  const {written, failed} = await forwardingKeeper(ports)(STATE)
  t.deepEqual(written, ['ipv6/conf/eth0/accept_ra=2', 'ipv4/ip_forward=1', 'ipv6/conf/all/forwarding=1'])
  t.deepEqual(failed, [])
})

test('an interface with an address that was learnt lives on advertisements, one with an address set by hand does not', async t => {
  const learnt = kernel(['2 eth0 fd00::11/64', '3 pod0 fd00:1::11/64'])
  const byHand = learnt.addresses.get(3 as IfIndex)!.map(address => ({...address, flags: 0x80}))
  const state = {...learnt, addresses: new Map([...learnt.addresses, [3 as IfIndex, byHand]])}
  const {written} = await forwardingKeeper(sysctls({...OFF}))(state)
  t.deepEqual(
    written.filter(each => each.includes('accept_ra')),
    ['ipv6/conf/eth0/accept_ra=2'],
  )
})

test('what is on already is not written: a restart makes nobody listen to advertisements', async t => {
  const on = {'ipv4/ip_forward': '1', 'ipv6/conf/all/forwarding': '1', 'ipv6/conf/eth0/forwarding': '1'}
  const {written} = await forwardingKeeper(sysctls({...on, 'ipv6/conf/eth0/accept_ra': '1'}))(STATE)
  t.deepEqual(written, [])
})

test('an interface that is made anew gets back what it had, and forwarding that is switched off comes back', async t => {
  const ports = sysctls({...OFF})
  const keep = forwardingKeeper(ports)
  await keep(STATE)
  Object.assign(ports.values, {
    'ipv6/conf/eth0/accept_ra': '1',
    'ipv6/conf/eth0/forwarding': '1',
    'ipv4/ip_forward': '0',
  })
  const {written} = await keep(kernel(['7 eth0']))
  t.deepEqual(written, ['ipv6/conf/eth0/accept_ra=2', 'ipv4/ip_forward=1'])
})

test('a kernel without IPv6 is none the worse', async t => {
  t.deepEqual(await forwardingKeeper(sysctls({'ipv4/ip_forward': '0'}))(STATE), {
    written: ['ipv4/ip_forward=1'],
    failed: [],
  })
})

test('a read-only /proc/sys is told, for each sysctl', async t => {
  const write = () => Promise.reject(Object.assign(new Error('read-only file system'), {code: 'EROFS'}))
  const {failed} = await forwardingKeeper({...sysctls({...OFF}), write})(STATE)
  t.is(failed.length, 3)
})
