/** Names of pairs. */
import test from 'ava'
import {defaultMac, type EndName, pairKey} from '../../src/pairs/key.ts'

const end = (text: string): EndName => ({pod: text.split(':')[0]!, interface: text.slice(text.indexOf(':') + 1)})

test('readable where it can be', t => {
  const rows: readonly [one: string, other: string, want: string | RegExp][] = [
    ['d/a:in1', 'd/b:in2', 'd/a.in1.b.in2'],
    ['d/b:in2', 'd/a:in1', 'd/a.in1.b.in2'],
    ['d/a:in2', 'd/b:in1', 'd/a.in2.b.in1'],
    ['d/primary-pod:in1', 'd/pair-pod:in2', 'd/pair-pod.in2.primary-pod.in1'],
    ['d/a:in1', 'e/b:in2', 'd/a.in1.e.b.in2'],
    ['e/a:in1', 'd/b:in2', 'd/b.in2.e.a.in1'],
    ['d/a.x:in1', 'd/b:in2', /^d\/a-x\.in1\.d\.b\.in2\.[0-9a-f]{16}$/],
    ['d/a:In_1', 'd/b:in2', /^d\/a\.in-1\.d\.b\.in2\.[0-9a-f]{16}$/],
    ['d/a:__', 'd/b:in2', /^d\/a\.x\.d\.b\.in2\.[0-9a-f]{16}$/],
    [`d/${'a'.repeat(253)}:in1`, `d/${'a'.repeat(253)}:in2`, /^d\/a{36}\.in1\.d\.a{36}\.in2\.[0-9a-f]{16}$/],
  ]
  for (const [one, other, want] of rows) {
    const key = pairKey(end(one), end(other))
    if (typeof want === 'string') t.is(key as string, want)
    else t.regex(key, want)
    t.is(key, pairKey(end(other), end(one)))
  }
})

test('no two pairs have one', t => {
  const ends = ['d/a', 'd/a.b', 'd/b.a', 'd/d', 'd/in', 'e/a', 'in/a'].flatMap(pod =>
    ['in', 'In', 'in_', 'a', 'b', 'd', 'a.in', 'in.a'].map(ifname => end(`${pod}:${ifname}`)),
  )
  const keys = ends.flatMap((one, i) => ends.slice(i + 1).map(other => pairKey(one, other)))
  t.is(new Set(keys).size, keys.length)
})

test('it fits an alias, whatever the names', t => {
  const long = (namespace: string, pod: string): EndName => ({
    pod: `${namespace.repeat(63)}/${pod.repeat(253)}`,
    interface: 'i'.repeat(15),
  })
  t.true(`netgraft:pair:${pairKey(long('n', 'a'), long('m', 'b'))}`.length < 256)
  const middle = (namespace: string, pod: string): EndName => ({
    pod: `${namespace.repeat(63)}/${pod.repeat(40)}`,
    interface: 'i'.repeat(15),
  })
  t.true(`netgraft:pair:${pairKey(middle('n', 'a'), middle('m', 'b'))}`.length < 256)
})

test('a MAC of one device, locally administered', t => {
  for (let i = 0; i < 100; i++) t.regex(defaultMac(end(`d/a:in${i}`)), /^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/)
  t.not(defaultMac(end('d/a:in1')), defaultMac(end('d/a:in2')))
})
