/** Which pairs there are, and which there cannot be. */
import test from 'ava'
import {matchPairs} from '../../src/pairs/pairs.ts'
import {endpoints, formatPairs, formatProblems, rules} from './support.ts'

interface Case {
  readonly name: string
  readonly pods: string[]
  readonly may?: string[]
  readonly want: string
  readonly problems?: string
}

const RATCHET =
  'ratchet=true pod_name=primary-pod target_pod=primary-pod target_container=primary-pod public_ip=1.1.1.1 local_ip=192.168.2.100 local_ifname=in1 pair_name=pair-pod pair_ip=192.168.2.101 pair_ifname=in2 primary=true'

const CASES: Case[] = [
  {
    name: "ratchet's example: the primary says all",
    pods: [`primary-pod (${RATCHET})`, 'pair-pod (ratchet=true pod_name=pair-pod primary=false)'],
    want: 'd/pair-pod:in2 192.168.2.101/24 -- d/primary-pod:in1 192.168.2.100/24',
  },
  {
    name: 'the other pod is not there yet',
    pods: [`primary-pod (${RATCHET})`],
    want: 'd/pair-pod:in2 192.168.2.101/24 -- d/primary-pod:in1 192.168.2.100/24',
  },
  {
    name: 'labels call a pod by its label ratchet.pod_name, and the newest of several has that',
    pods: [
      'old-5b (ratchet=true pod_name=pair-pod primary=false)',
      `x-7c (${RATCHET})`,
      'new-9d (ratchet=yes pod_name=pair-pod)',
    ],
    want: 'd/new-9d:in2 192.168.2.101/24 -- d/x-7c:in1 192.168.2.100/24',
  },
  {
    name: 'a primary that another one takes the place of',
    pods: [`x-1 (${RATCHET})`, `x-2 (${RATCHET})`],
    want: 'd/pair-pod:in2 192.168.2.101/24 -- d/x-2:in1 192.168.2.100/24',
    problems:
      'd/x-1 [ratchet.pair_name] contradiction: ratchet.pair_name of d/x-1 does not count: d/x-2, which is newer, has the same ratchet.pod_name; give each pod its own',
  },
  {
    name: 'two primaries',
    pods: [
      `primary-pod (${RATCHET})`,
      'pair-pod (ratchet=true local_ip=192.168.2.101 local_ifname=in2 pair_name=primary-pod pair_ip=192.168.2.100 pair_ifname=in1 primary=true)',
    ],
    want: '',
    problems:
      'd/pair-pod [ratchet.pair_name] contradiction: ratchet.pair_name of d/pair-pod and ratchet.pair_name of d/primary-pod are of pods that both have the label ratchet.primary: "true"; leave it at one of them\n' +
      'd/primary-pod [ratchet.pair_name] contradiction: ratchet.pair_name of d/pair-pod and ratchet.pair_name of d/primary-pod are of pods that both have the label ratchet.primary: "true"; leave it at one of them',
  },
  {
    name: 'two primaries, of which one names a third pod',
    pods: [
      `primary-pod (${RATCHET})`,
      'pair-pod (ratchet=true local_ip=10.0.0.1 local_ifname=in9 pair_name=third pair_ip=10.0.0.2 pair_ifname=in1 primary=true)',
    ],
    want: 'd/pair-pod:in9 10.0.0.1/24 -- d/third:in1 10.0.0.2/24',
    problems:
      'd/pair-pod [] contradiction: ratchet.pair_name of d/primary-pod names d/pair-pod, which has the label ratchet.primary: "true", too, and names d/third; leave it at one of them\n' +
      'd/primary-pod [ratchet.pair_name] contradiction: ratchet.pair_name of d/primary-pod names d/pair-pod, which has the label ratchet.primary: "true", too, and names d/third; leave it at one of them',
  },
  {
    name: 'labels at one end, the annotation at the other: MAC and MTU beside them',
    pods: [
      `primary-pod (${RATCHET})`,
      'pair-pod (ratchet=true): in2>primary-pod mtu=1400 mac=02:00:00:00:00:01 ip=192.168.2.101/24',
    ],
    want: 'd/pair-pod:in2 192.168.2.101/24 02:00:00:00:00:01 -- d/primary-pod:in1 192.168.2.100/24 mtu 1400',
  },
  {
    name: 'labels at one end, and another address in the annotation of the other',
    pods: [`primary-pod (${RATCHET})`, 'pair-pod: in2>primary-pod ip=192.168.2.102/24'],
    want: '',
    problems: ['d/pair-pod [netgraft.dev/pairs[0]]', 'd/primary-pod [ratchet.pair_name]']
      .map(
        who =>
          `${who} contradiction: netgraft.dev/pairs[0] of d/pair-pod and ratchet.pair_name of d/primary-pod mean the same interface to have 192.168.2.102/24 and 192.168.2.101/24; write one of the two`,
      )
      .join('\n'),
  },
  {name: 'one end says it: the other has the same name', pods: ['a: in1>b', 'b'], want: 'd/a:in1 -- d/b:in1'},
  {name: 'one end says both', pods: ['a', 'b: in1>a:x'], want: 'd/a:x -- d/b:in1'},
  {
    name: 'both say it, each its own',
    pods: ['a: in1>b ip=10.0.0.1/24', 'b: in2>a ip=10.0.0.2/24'],
    want: 'd/a:in1 10.0.0.1/24 -- d/b:in2 10.0.0.2/24',
  },
  {
    name: 'two pairs between two pods: the first with the first',
    pods: ['a: in1>b, in2>b', 'b: out1>a, out2>a, out3>a'],
    want: 'd/a:in1 -- d/b:out1\nd/a:in2 -- d/b:out2\nd/a:out3 -- d/b:out3',
  },
  {
    name: 'by interfaces before order',
    pods: ['a: in1>b, in2>b:out1', 'b: out1>a, out2>a'],
    want: 'd/a:in1 -- d/b:out2\nd/a:in2 -- d/b:out1',
  },
  {
    name: 'by names before all',
    pods: ['a: in1>b name=x, in2>b name=y', 'b: out1>a name=y, out2>a name=x'],
    want: 'd/a:in1 -- d/b:out2 name x\nd/a:in2 -- d/b:out1 name y',
  },
  {
    name: 'a name at one end is enough, two that differ are two pairs',
    pods: ['a: in1>b name=x, in2>b name=y', 'b: out1>a name=z, out2>a'],
    want: 'd/a:in1 -- d/b:out2 name x\nd/a:in2 -- d/b:in2 name y\nd/a:out1 -- d/b:out1 name z',
  },
  {
    name: 'a ring of three, in both families',
    pods: ['a: r>b:l ip=10.0.1.1/24 ip=fd00:1::1/64', 'b: l>a ip=10.0.1.2/24 ip=fd00:1::2/64, r>c:l', 'c: r>a:l'],
    want: 'd/a:l -- d/c:r\nd/a:r 10.0.1.1/24 fd00:1::1/64 -- d/b:l 10.0.1.2/24 fd00:1::2/64\nd/b:r -- d/c:l',
  },
  {
    name: 'interfaces that do not fit',
    pods: ['a: in1>b:x', 'b: in2>a'],
    want: '',
    problems: both(
      'd/a d/b',
      'netgraft.dev/pairs[0] of d/a and netgraft.dev/pairs[0] of d/b mean the same interface by in2 and x; write one name at both ends, or give the two a name each if they are two pairs',
    ),
  },
  {
    name: 'two MTUs',
    pods: ['a: in1>b mtu=1400', 'b: in1>a mtu=1300'],
    want: '',
    problems: both(
      'd/a d/b',
      'netgraft.dev/pairs[0] of d/a and netgraft.dev/pairs[0] of d/b differ in their mtu, 1400 and 1300; write the same one at both ends, or at one of them only',
    ),
  },
  {
    name: 'one address for both ends',
    pods: ['a: in1>b ip=10.0.0.1/24', 'b: in1>a ip=10.0.0.1/16'],
    want: '',
    problems: both(
      'd/a d/b',
      'netgraft.dev/pairs[0] of d/a and netgraft.dev/pairs[0] of d/b give both ends the address 10.0.0.1; give each end its own',
    ),
  },
  {
    name: 'one MAC for both ends',
    pods: ['a: in1>b mac=02:00:00:00:00:01', 'b: in1>a mac=02:00:00:00:00:01'],
    want: '',
    problems: both(
      'd/a d/b',
      'netgraft.dev/pairs[0] of d/a and netgraft.dev/pairs[0] of d/b give both ends the mac 02:00:00:00:00:01; give each end its own, or none',
    ),
  },
  {
    name: 'IPv6 at one end, an MTU without room for it at the other',
    pods: ['a: in1>b mtu=1000', 'b: in1>a ip=fd00::1/64'],
    want: '',
    problems: both(
      'd/a d/b',
      'netgraft.dev/pairs[0] of d/a and netgraft.dev/pairs[0] of d/b mean an mtu of 1000 and the address fd00::1/64, and IPv6 needs 1280; write that or more, or leave IPv6 away',
    ),
  },
  {
    name: 'a name for another pair: what both ends say stands',
    pods: ['a: in1>b name=x', 'b: in2>c name=x', 'c: in2>b name=x'],
    want: 'd/b:in2 -- d/c:in2 name x',
    problems: ['d/a [netgraft.dev/pairs[0]]', 'd/b []']
      .map(
        who =>
          `${who} contradiction: netgraft.dev/pairs[0] of d/a calls a pair with d/b "x", and netgraft.dev/pairs[0] of d/b so one with d/c; give each pair a name of its own`,
      )
      .join('\n'),
  },
  {
    name: 'a name for another pair that one end says only: none of the two',
    pods: ['a: in1>b name=x', 'b: in2>c name=x', 'c'],
    want: '',
    problems: ['d/a [netgraft.dev/pairs[0]]', 'd/b []', 'd/b [netgraft.dev/pairs[0]]', 'd/c []']
      .map(
        who =>
          `${who} contradiction: netgraft.dev/pairs[0] of d/a calls a pair with d/b "x", and netgraft.dev/pairs[0] of d/b so one with d/c; give each pair a name of its own`,
      )
      .join('\n'),
  },
  {
    name: 'one interface for two pairs: the one that its pod declares stands',
    pods: ['a: in1>b', 'b: in1>c', 'c'],
    want: 'd/b:in1 -- d/c:in1',
    problems: ['d/a [netgraft.dev/pairs[0]]', 'd/b []']
      .map(
        who =>
          `${who} contradiction: netgraft.dev/pairs[0] of d/a would have the interface in1 of d/b, and so would netgraft.dev/pairs[0] of d/b; give one of them another name`,
      )
      .join('\n'),
  },
  {
    name: 'one interface for two pairs that others ask for: none',
    pods: ['a: in1>b', 'b', 'c: in1>b'],
    want: '',
    problems:
      'd/a [netgraft.dev/pairs[0]] contradiction: netgraft.dev/pairs[0] of d/a would have the interface in1 of d/b, and so would netgraft.dev/pairs[0] of d/c; give one of them another name\n' +
      'd/b [] contradiction: netgraft.dev/pairs[0] of d/a would have the interface in1 of d/b, and so would netgraft.dev/pairs[0] of d/c; give one of them another name\n' +
      'd/b [] contradiction: netgraft.dev/pairs[0] of d/c would have the interface in1 of d/b, and so would netgraft.dev/pairs[0] of d/a; give one of them another name\n' +
      'd/c [netgraft.dev/pairs[0]] contradiction: netgraft.dev/pairs[0] of d/c would have the interface in1 of d/b, and so would netgraft.dev/pairs[0] of d/a; give one of them another name',
  },
  {
    name: 'another namespace that says nothing',
    pods: ['a: in1>e/b', 'e/b'],
    want: '',
    problems:
      'd/a [netgraft.dev/pairs[0]] refused: netgraft.dev/pairs[0] of d/a names a pod of namespace e, which does not name this one; let that pod declare the pair, too, or add the two namespaces to pairs.grants',
  },
  {name: 'another namespace that says so, too', pods: ['a: in1>e/b', 'e/b: in1>d/a'], want: 'd/a:in1 -- e/b:in1'},
  {name: 'another namespace by configuration', pods: ['a: in1>e/b', 'e/b'], may: ['d>e'], want: 'd/a:in1 -- e/b:in1'},
  {
    name: 'what may not be keeps nothing from being',
    pods: ['a: in1>e/b', 'e/b', 'e/c: in1>b name=x', 'f: in2>e/b:in1 name=x'],
    want: 'e/b:in1 -- e/c:in1 name x',
    problems: ['a', 'f']
      .map(
        pod =>
          `d/${pod} [netgraft.dev/pairs[0]] refused: netgraft.dev/pairs[0] of d/${pod} names a pod of namespace e, which does not name this one; let that pod declare the pair, too, or add the two namespaces to pairs.grants`,
      )
      .join('\n'),
  },
]

function both(pods: string, message: string): string {
  return pods
    .split(' ')
    .map(pod => `${pod} [netgraft.dev/pairs[0]] contradiction: ${message}`)
    .join('\n')
}

for (const {name, pods, may = [], want, problems = ''} of CASES)
  test(name, t => {
    const matched = matchPairs(endpoints(...pods), rules(...may))
    t.is(formatPairs(matched.pairs), want)
    t.is(formatProblems(matched.problems), problems)
  })

test('what is kept under the key of another pod does not count', t => {
  const [a] = [...endpoints('a: in1>b').values()]
  t.is(matchPairs(new Map([['d/x', a!]]), rules()).pairs.size, 0)
})

test('an end that is a pod keeps its document', t => {
  const all = endpoints('a: in1>b', 'b')
  const [pair] = [...matchPairs(all, rules()).pairs.values()]
  t.is(pair!.ends[0].endpoint, all.get('d/a'))
  t.is(pair!.ends[1].endpoint, all.get('d/b'))
  t.deepEqual(
    pair!.ends.map(end => end.at),
    ['netgraft.dev/pairs[0]', undefined],
  )
})
