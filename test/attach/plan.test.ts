/** What is to be done to a pod's networks. */
import test from 'ava'
import fc from 'fast-check'
import {planAttachments, type Resolved, type Standing, type Unresolved, type Wish} from '../../src/attach/plan.ts'
import type {Selection, SelectionProblem} from '../../src/model/attachment.ts'
import {selection as anySelection} from './support.ts'

const words = (text: string): string[] => text.split(' ').filter(word => word !== '')

/** "[k:]name[#ip][!]": of kaloom's annotation, with an address, only at the start. */
function selectionOf(text: string): Selection {
  const [, k, name, ip, startOnly] = /^(k:)?([a-z]+)(?:#(\d+))?(!)?$/.exec(text)!
  return {
    dialect: k ? 'kaloom' : 'npwg',
    namespace: 'n',
    name: name!,
    ...(ip !== undefined && {ips: [`10.0.0.${ip}`]}),
    ...(startOnly && {startOnly: true}),
  }
}

/** "net1=green#5/config[%device]" */
function resolvedOf(text: string): {ifname: string; selection: Selection; resolution: Resolved<string>} {
  const [, ifname, of, config = 'one', device] = /^([^=]+)=([^/?%]+)(?:\/(\w+))?(?:%(\w+))?$/.exec(text)!
  const selection = selectionOf(of!)
  const definition = {kind: 'NetworkAttachmentDefinition', namespace: 'n', name: selection.name} as const
  return {
    ifname: ifname!,
    selection,
    resolution: {definition, config, list: text, ...(device !== undefined && {device})},
  }
}

/** As {@link resolvedOf}, or "net1=green?" of one that cannot be resolved, "net1=green??" of one that may be later. */
const wishes = (text: string): Wish<string>[] =>
  words(text).map((word, i) => {
    const [, head, marks] = /^([^?]*)(\?*)$/.exec(word)!
    const {ifname, selection, resolution} = resolvedOf(head!)
    const reason = `no ${selection.name}`
    return {
      selected: {at: `networks[${i}]`, selection},
      ifname,
      resolution: marks === '' ? resolution : {reason, again: marks === '??'},
    }
  })

/** As {@link resolvedOf}, with "*" before it of what another controller has made. */
const standing = (text: string): Standing[] =>
  words(text).map(word => {
    const {ifname, selection, resolution} = resolvedOf(word.replace('*', ''))
    const {definition, config, device} = resolution
    const origin = word.startsWith('*') ? 'request' : 'annotation'
    return {ifname, origin, selection, definition, config, device}
  })

/** "green": a fault of an element that means it; "-": of one that may mean anything. */
const problems = (text: string): SelectionProblem[] =>
  words(text).map(word => ({
    at: 'networks[9]',
    message: `fault of ${word}`,
    ...(word !== '-' && {means: {namespace: 'n', name: word}}),
  }))

function planned(want: string, have: string, faults: string): string {
  const {attach, change, detach, keep, refused} = planAttachments(wishes(want), standing(have), problems(faults))
  return [
    ...attach.map(({ifname}) => `+${ifname}`),
    ...change.map(({from, to}) => `${from.ifname}>${to.ifname}`),
    ...detach.map(({ifname}) => `-${ifname}`),
    ...keep.map(({standing, reason}) => `=${standing.ifname}${reason === undefined ? '' : `(${reason})`}`),
    ...refused.map(({ifname, again}) => `!${ifname}${again ? '~' : ''}`),
  ].join(' ')
}

const rows: readonly [why: string, want: string, have: string, faults: string, plan: string][] = [
  ['nothing', '', '', '', ''],
  ['attached', 'net1=a net2=b', '', '', '+net1 +net2'],
  ['detached', '', 'net1=a net2=b', '', '-net1 -net2'],
  ['kept', 'net2=b net1=a', 'net1=a net2=b', '', '=net2 =net1'],
  ['kept, whichever annotation says it', 'net1=k:a', 'net1=a', '', '=net1'],
  ['the definition has changed', 'net1=a/two', 'net1=a', '', 'net1>net1'],
  ['the element has changed', 'net1=a#5', 'net1=a', '', 'net1>net1'],
  ['another network under the same name', 'net1=b', 'net1=a', '', 'net1>net1'],
  ['another device', 'net1=a%y', 'net1=a%x', '', 'net1>net1'],
  ['the same device', 'net1=a%x', 'net1=a%x', '', '=net1'],
  ['the definition is gone: what stands stays', 'net1=a??', 'net1=a', '', '=net1(no a)'],
  ['cannot be resolved', 'net1=a? net2=b??', '', '', '!net1 !net2~'],
  ['what is to come is not there: what has its name stays', 'net1=b?', 'net1=a', '', '=net1 !net1'],
  ['a fault of what stands', '', 'net1=a net2=b', 'a', '-net2 =net1(fault of a)'],
  [
    'a fault that may mean anything',
    'net1=a',
    'net1=a net2=b net3=c',
    '-',
    '=net1 =net2(fault of -) =net3(fault of -)',
  ],
  ["another controller's", '', '*net1=a net2=a', '', '-net2 =net1'],
  ['only at the start', '', 'net1=a! net2=a', '', '-net2 =net1'],
]

for (const [why, want, have, faults, plan] of rows)
  test(`planned: ${why}`, t => t.is(planned(want, have, faults), plan))

const resolution = fc.oneof(
  fc.record({reason: fc.constant('no'), again: fc.boolean()}),
  fc.record({
    definition: fc.record({
      kind: fc.constantFrom('NetworkAttachmentDefinition' as const, 'Network' as const),
      namespace: fc.constant('n'),
      name: fc.constantFrom('a', 'b'),
    }),
    config: fc.constantFrom('one', 'two'),
    device: fc.constantFrom(undefined, 'x'),
    list: fc.constant('list'),
  }),
)
const ifname = fc.integer({min: 1, max: 6}).map(n => `net${n}`)
const named = anySelection.map(({primary: _, ...selection}) => selection as Selection)
const wish = fc.record({selection: named, ifname, resolution})
const stands = fc.record({
  ifname,
  selection: named,
  origin: fc.constantFrom('pod' as const, 'annotation' as const, 'request' as const),
  definition: fc.record({
    kind: fc.constant('Network' as const),
    namespace: fc.constant('n'),
    name: fc.constantFrom('a', 'b'),
  }),
  config: fc.constantFrom('one', 'two'),
  device: fc.constantFrom(undefined, 'x'),
})
const unique = {maxLength: 6, selector: ({ifname}: {ifname: string}) => ifname}
const fault = fc.record(
  {
    at: fc.constant('networks[0]'),
    message: fc.constant('fault'),
    means: fc.record({namespace: fc.constant('n'), name: fc.constantFrom('a', 'b')}),
  },
  {requiredKeys: ['at', 'message']},
) as fc.Arbitrary<SelectionProblem>

const given = fc.tuple(fc.uniqueArray(wish, unique), fc.uniqueArray(stands, unique), fc.array(fault, {maxLength: 2}))
const asWishes = (raw: readonly {selection: Selection; ifname: string; resolution: Resolved<string> | Unresolved}[]) =>
  raw.map(({selection, ...rest}, i): Wish<string> => ({...rest, selected: {at: `networks[${i}]`, selection}}))

test('everything asked for and everything that stands has one fate', t => {
  fc.assert(
    fc.property(given, ([raw, have, faults]) => {
      const plan = planAttachments(asWishes(raw), have, faults)
      const fates = [...plan.change.map(({from}) => from), ...plan.detach, ...plan.keep.map(({standing}) => standing)]
      t.deepEqual(fates.map(({ifname}) => ifname).sort(), have.map(({ifname}) => ifname).sort())
      const served = [...plan.attach, ...plan.change.map(({to}) => to), ...plan.refused].map(({ifname}) => ifname)
      const asked = raw.map(({ifname}) => ifname)
      t.is(new Set(served).size, served.length)
      const kept = plan.keep.map(({standing}) => standing.ifname)
      t.true(asked.every(name => served.includes(name) || kept.includes(name)))
      t.true(served.every(name => asked.includes(name)))
    }),
  )
})

test('what another controller has made, and what a fault may mean, is never taken away; nothing is for no reason', t => {
  fc.assert(
    fc.property(given, ([raw, have, faults]) => {
      const {detach, attach, change} = planAttachments(asWishes(raw), have, faults)
      const asked = new Set(raw.map(({ifname}) => ifname))
      for (const each of detach) {
        t.true(each.origin !== 'request' && !each.selection.startOnly && !asked.has(each.ifname))
        t.true(
          faults.every(
            ({means}) => means && (means.name !== each.selection.name || means.namespace !== each.selection.namespace),
          ),
        )
      }
      for (const {ifname} of attach) t.false(have.some(each => each.ifname === ifname))
      t.true(change.every(({from, to}) => from.ifname === to.ifname))
    }),
  )
})

test('done once, there is nothing left to do', t => {
  fc.assert(
    fc.property(given, ([raw, have, faults]) => {
      const wanted = asWishes(raw)
      const {attach, change, keep} = planAttachments(wanted, have, faults)
      const made = [...attach, ...change.map(({to}) => to)].map(
        ({ifname, selected: {selection}, resolution: {definition, config, device}}): Standing => ({
          ifname,
          origin: 'annotation',
          selection,
          definition,
          config,
          device,
        }),
      )
      const again = planAttachments(wanted, [...keep.map(({standing}) => standing), ...made], faults)
      t.deepEqual([again.attach, again.change, again.detach], [[], [], []])
    }),
  )
})
