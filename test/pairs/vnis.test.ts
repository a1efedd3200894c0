/** Who takes which VNI, and who gives it back. */
import test from 'ava'
import type {NodeName} from '../../src/model/facts.ts'
import {wantedVnis} from '../../src/pairs/vnis.ts'
import {claims, names, pairsOf} from './support.ts'

interface Case {
  readonly name: string
  readonly pods: string[]
  readonly vnis?: string[]
  readonly self?: string
  readonly alive?: string
  readonly range?: [number, number]
  /** "take <pair> <how many to try>", "give back <vni>". */
  readonly want: string
}

const TWO = ['a@n1: in1>b', 'b@n2']
const PAIR = 'd/a.in1.b.in1'

const CASES: Case[] = [
  {name: 'the lesser of two nodes takes', pods: TWO, want: `take ${PAIR} 8`},
  {name: 'the other one does not', pods: TWO, self: 'n2', want: ''},
  {name: 'nor does a third', pods: TWO, self: 'n3', want: ''},
  {name: 'the ends the other way round', pods: ['a@n2: in1>b', 'b@n1'], want: `take ${PAIR} 8`},
  {name: 'one is there', pods: TWO, vnis: [`7 ${PAIR} n1`], want: ''},
  {name: 'on one node none is needed', pods: ['a@n1: in1>b', 'b@n1'], want: ''},
  {name: 'the other pod is not there', pods: ['a@n1: in1>b'], want: ''},
  {name: 'the other node is dead', pods: TWO, alive: 'n1', want: ''},
  {name: 'this node is not seen to be alive', pods: TWO, vnis: [`7 ${PAIR}x n1`], alive: 'n2', want: ''},
  {name: 'no such pair', pods: TWO, vnis: [`7 ${PAIR} n1`, '9 d/x.in1.y.in1 n1'], want: 'give back 9'},
  {name: 'no such pair: who has not taken it leaves it', pods: [], vnis: ['9 d/x.in1.y.in1 n2'], want: ''},
  {name: 'no such pair: of a dead node', pods: [], vnis: ['9 d/x.in1.y.in1 n9'], want: 'give back 9'},
  {
    name: 'no such pair: of a dead node, the least living',
    pods: [],
    vnis: ['9 d/x.in1.y.in1 n9'],
    self: 'n2',
    want: '',
  },
  {name: 'a double', pods: TWO, vnis: [`7 ${PAIR} n2`, `9 ${PAIR} n1`], want: 'give back 9'},
  {name: 'a double of another one', pods: TWO, vnis: [`7 ${PAIR} n1`, `9 ${PAIR} n2`], want: ''},
  {name: 'now on one node', pods: ['a@n1: in1>b', 'b@n1'], vnis: [`7 ${PAIR} n1`], want: 'give back 7'},
  {name: 'a pod has gone for a while', pods: ['a@n1: in1>b'], vnis: [`7 ${PAIR} n1`], want: ''},
  {name: 'outside the range', pods: TWO, vnis: [`7 ${PAIR} n1`], range: [10, 20], want: 'give back 7'},
  {
    name: 'few are left',
    pods: TWO,
    vnis: ['1 d/x.in1.y.in1 n2', '3 d/x.in2.y.in1 n2'],
    range: [1, 4],
    want: `take ${PAIR} 2`,
  },
  {name: 'none is left', pods: TWO, vnis: ['1 d/x.in1.y.in1 n2'], range: [1, 1], want: `take ${PAIR} 0`},
]

for (const {name, pods, vnis = [], self = 'n1', alive = 'n1 n2 n3', range: [from, to] = [1, 1000], want} of CASES)
  test(name, t => {
    const found = wantedVnis(pairsOf(...pods), claims(...vnis), {
      self: self as NodeName,
      alive: names(alive),
      range: {from, to},
    })
    for (const {vnis: tries} of found.take) {
      t.is(new Set(tries).size, tries.length)
      t.true(tries.every(vni => vni >= from && vni <= to && !claims(...vnis).has(vni)))
    }
    const lines = [
      ...found.take.map(wish => `take ${wish.pair} ${wish.vnis.length}`),
      ...found.giveBack.map(({vni}) => `give back ${vni}`),
    ]
    t.is(lines.join('\n'), want)
  })

test('where to begin follows from the pair alone', t => {
  const first = (...pods: string[]) =>
    wantedVnis(pairsOf(...pods), claims(), {
      self: 'n1' as NodeName,
      alive: names('n1 n2'),
      range: {from: 1, to: 2 ** 24 - 1},
    }).take.map(({pair, vnis}) => `${pair} ${vnis[0]}`)
  const [one] = first(...TWO)
  t.true(first('c@n1: in1>b:in2', ...TWO).includes(one!))
})
