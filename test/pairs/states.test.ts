/** What pods are told of their pairs. */
import test from 'ava'
import type {NodeName} from '../../src/model/facts.ts'
import type {PairKey} from '../../src/model/pair.ts'
import {mayReplace} from '../../src/pairs/documents.ts'
import {matchPairs} from '../../src/pairs/pairs.ts'
import {planEnds} from '../../src/pairs/plan.ts'
import {countStates, type PairProgress, pairStates} from '../../src/pairs/states.ts'
import {claims, endpoints, names, rules} from './support.ts'

test('each state, by interface', t => {
  const all = endpoints(
    'a@n1 (ratchet=true): in1>b name=x, in2>b, in3>c, in4>z, in5>b:in5 mtu=9000, in6>e mtu=1000, in7>f',
    'b@n1',
    'c@n2',
    'e@n1: in6>a mtu=1001',
    'f@n9: in7>a',
    'l@n1 (ratchet=true)',
  )
  const {pairs, problems} = matchPairs(all, rules())
  const plans = planEnds(pairs, claims('7 d/a.in3.c.in3 n1'), {
    self: 'n1' as NodeName,
    alive: names('n1 n2 n9'),
    port: 4790,
  })
  const progress = new Map<PairKey, PairProgress>([
    ['d/a.in1.b.in1' as PairKey, {state: 'up'}],
    ['d/a.in3.c.in3' as PairKey, {state: 'failed', reason: 'the kernel says no'}],
    ['d/a.in5.b.in5' as PairKey, {state: 'up'}],
  ])
  const local = new Map([...all].filter(([, {node}]) => node === 'n1'))
  const states = pairStates({local, plans, problems, progress})
  const lines = [...states].flatMap(([pod, list]) =>
    list.map(({interface: ifname, peer, state, kind, vni, mtu, waitsFor, reason, name}) =>
      [pod, ifname, '>', peer, state, kind, vni, mtu, waitsFor, name, reason && `(${reason.slice(0, 40)})`]
        .filter(each => each !== undefined)
        .join(' '),
    ),
  )
  t.is(
    lines.join('\n'),
    [
      'd/a in1 > d/b:in1 up veth 1450 x',
      'd/a in2 > d/b:in2 building veth 1450',
      'd/a in3 > d/c:in3 failed vxlan 7 1450 (the kernel says no)',
      'd/a in4 > d/z:in4 waiting peer (pod d/z is not there)',
      'd/a in5 > d/b:in5 up veth 1450 (the mtu is 1450 instead of 9000: a tunne)',
      'd/a in6 > contradiction (netgraft.dev/pairs[5] of d/a and netgraf)',
      'd/a in7 > d/f:in7 failed (node n9 has no address for the tunnel of)',
      'd/b in1 > d/a:in1 up veth 1450 x',
      'd/b in2 > d/a:in2 building veth 1450',
      'd/b in5 > d/a:in5 up veth 1450 (the mtu is 1450 instead of 9000: a tunne)',
      'd/e in6 > contradiction (netgraft.dev/pairs[5] of d/a and netgraf)',
      'd/l > waiting ratchet (no pod with the label ratchet.primary: ")',
    ].join('\n'),
  )
  const counts = countStates([...states.values()].flat()).map(({state, kind, waitsFor, count}) =>
    [state, kind || waitsFor || '-', count].join(' '),
  )
  t.deepEqual(counts.sort(), [
    'building veth 2',
    'contradiction - 2',
    'failed - 1',
    'failed vxlan 1',
    'up veth 4',
    'waiting peer 1',
    'waiting ratchet 1',
  ])
})

test('who writes late may not', t => {
  const [one, two, three] = [...endpoints('a@n1', 'b@n2', 'c@n3').values()]
  t.true(mayReplace(one!, two!))
  t.false(mayReplace(two!, one!))
  t.true(mayReplace(two!, {...one!, uid: two!.uid}))
  t.true(mayReplace(two!, {...three!, createdAt: two!.createdAt}))
})
