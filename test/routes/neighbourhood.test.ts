import test from 'ava'
import {parseIp} from '../../src/model/ip.ts'
import type {KernelState} from '../../src/model/kernel.ts'
import type {IfIndex, Mac, Neighbour} from '../../src/model/net.ts'
import {NeighbourhoodWatch} from '../../src/routes/neighbourhood.ts'
import {readUnderlay} from '../../src/routes/underlay.ts'
import {kernel} from './support.ts'

const ETH0 = 2 as IfIndex
/** "192.168.0.12 02:00:00:00:00:0c": neighbours on eth0. */
function state(...texts: string[]): KernelState {
  const entries = texts.map((text): [string, Neighbour] => {
    const [ip = '', mac] = text.split(' ')
    return [ip, {index: ETH0, ip: parseIp(ip), state: 2, ...(mac && {mac: mac as Mac})}]
  })
  return {...kernel(['2 eth0 192.168.0.11/24']), neighbours: new Map([[ETH0, new Map(entries)]])}
}

function look(at: KernelState, addresses: string, watch = new NeighbourhoodWatch()) {
  const book = watch.look(at, readUnderlay(at, [], []))
  const hop = book.overLinkLocal(addresses.split(' ').filter(Boolean).map(parseIp))
  return {
    book,
    hop: hop && `${hop.gateway} dev ${hop.dev}`,
    unresolved: book.unresolved.map(({ip}) => `${ip}`).join(' '),
  }
}

for (const [name, neighbours, addresses, hop, unresolved] of [
  [
    'the MAC of a neighbour makes its address',
    ['192.168.0.12 00:0c:29:0c:47:d5'],
    '192.168.0.12',
    'fe80::20c:29ff:fe0c:47d5 dev 2',
    '',
  ],
  ['an unknown one is to be asked for', [], '192.168.0.12', undefined, '192.168.0.12'],
  ['one that does not answer, too', ['192.168.0.12'], '192.168.0.12', undefined, '192.168.0.12'],
  ['nobody is asked behind a router', [], '10.0.0.1', undefined, ''],
  ['nor for IPv6', [], 'fd00::1', undefined, ''],
  [
    'the first that is known',
    ['192.168.0.13 02:00:00:00:00:01'],
    '10.0.0.1 192.168.0.12 192.168.0.13',
    'fe80::ff:fe00:1 dev 2',
    '192.168.0.12',
  ],
  ['the MAC of a group is nobody’s', ['192.168.0.12 01:00:5e:00:00:01'], '192.168.0.12', undefined, '192.168.0.12'],
  ['nor are zeros', ['192.168.0.12 00:00:00:00:00:00'], '192.168.0.12', undefined, '192.168.0.12'],
] as const)
  test(name, t => {
    const result = look(state(...neighbours), addresses)
    t.is(result.hop, hop)
    t.is(result.unresolved, unresolved)
  })

test('what was known stays so when the kernel forgets it, and a new MAC takes its place', t => {
  const watch = new NeighbourhoodWatch()
  const known = look(state('192.168.0.12 02:00:00:00:00:01'), '192.168.0.12', watch)
  const forgotten = look(state(), '192.168.0.12', watch)
  t.is(forgotten.hop, 'fe80::ff:fe00:1 dev 2')
  t.is(forgotten.book, known.book)
  const changed = look(state('192.168.0.12 02:00:00:00:00:02'), '192.168.0.12', watch)
  t.is(changed.hop, 'fe80::ff:fe00:2 dev 2')
  t.not(changed.book, known.book)
})

test('an answer that was missing makes another look, nothing new the same', t => {
  const watch = new NeighbourhoodWatch()
  const asked = look(state(), '192.168.0.12', watch)
  t.is(look(state(), '', watch).book, asked.book)
  t.not(look(state('192.168.0.12 02:00:00:00:00:02'), '', watch).book, asked.book)
})
