/** Interface names: given once, kept while the attachment lives. */
import test from 'ava'
import fc from 'fast-check'
import {assignNames, hashName, type Standing} from '../../src/attach/names.ts'
import type {Selected, Selection} from '../../src/model/attachment.ts'

/** "[k:][ns/]name[@interface][#ip][!][^]": of kaloom's annotation, primary, only at the start. */
function selectionOf(text: string): Selection {
  const [, k, namespace = 'pod', name, ifname, ip, primary, startOnly] =
    /^(k:)?(?:([a-z]+)\/)?([a-z]+)(?:@([\w.]+))?(?:#(\d+))?(!)?(\^)?$/.exec(text)!
  return {
    dialect: k ? 'kaloom' : 'npwg',
    namespace,
    name: name!,
    ...(ifname !== undefined && {interface: ifname}),
    ...(ip !== undefined && {ips: [`10.0.0.${ip}`]}),
    ...(primary && {primary: true}),
    ...(startOnly && {startOnly: true}),
  }
}

const selected = (texts: readonly string[]): Selected[] =>
  texts.map((text, i) => ({at: `networks[${i}]`, selection: selectionOf(text)}))

/** "net1=a", or "eth0=" of what no annotation says. */
const standing = (texts: readonly string[]): Standing[] =>
  texts.map(text => {
    const [ifname, of] = text.split('=') as [string, string]
    return {ifname, ...(of && {selection: selectionOf(of)})}
  })

const words = (text: string): string[] => text.split(' ').filter(word => word !== '')

/** "net1 net2", in the order of what is selected; "-" for what has a problem or is primary. */
function named(want: string, have = '', taken = ''): string {
  const wanted = selected(words(want))
  const {named, problems} = assignNames(wanted, standing(words(have)), {taken: new Set(words(taken))})
  const others = wanted.length - wanted.filter(({selection}) => selection.primary).length
  if (named.length + problems.length !== others) throw new Error('something has neither a name nor a problem')
  return wanted.map(each => named.find(({selected}) => selected === each)?.ifname ?? '-').join(' ')
}

test('names after a hash', t => {
  t.is(hashName('green'), 'net9f27410725ab')
  t.is(hashName('blue'), 'net48d6215903df')
  t.is(hashName('red'), 'netbda9643ac660')
  t.is(hashName('data'), 'net8d777f385d3d')
  t.is(named('k:green k:n/blue'), 'net9f27410725ab net48d6215903df')
})

const GREEN = hashName('green')

const rows: readonly [why: string, want: string, have: string, taken: string, names: string][] = [
  ['in order', 'a b c', '', '', 'net1 net2 net3'],
  ['several of one', 'a a a', '', '', 'net1 net2 net3'],
  ['the lowest free', 'a b c d', 'net2=x', 'net1', 'net3 net4 net5 net6'],
  ['what is explicit is not free', 'a b@net1 c', '', '', 'net2 net1 net3'],
  ['what is leaving is not free yet', 'b', 'net1=a', '', 'net2'],
  ['a primary has none', 'a! b', '', '', '- net1'],
  ['kept', 'b c a', 'net1=a net2=b net3=c', '', 'net2 net3 net1'],
  ['kept when another goes', 'b', 'net1=a net2=b', '', 'net2'],
  ['kept when another comes before', 'x a', 'net1=a', '', 'net2 net1'],
  ['kept though it is asked for differently', 'a#2', 'net1=a#1', '', 'net1'],
  ['kept by whom is asked for alike', 'a#2', 'net1=a#1 net2=a#2', '', 'net2'],
  ['kept in turn otherwise', 'a#3 a#4', 'net1=a#1 net2=a#2', '', 'net1 net2'],
  ['alike first, the rest in turn', 'a#3 a#1', 'net1=a#1 net2=a#2', '', 'net2 net1'],
  ['kept though the caller calls it taken', 'a b@x', 'net1=a x=b', 'net1 x', 'net1 x'],
  ['of another namespace', 'o/a', 'net1=a', '', 'net2'],
  ['explicit changes', 'a@y', 'x=a@x', '', 'y'],
  ['explicit comes: the same name', 'a@net1', 'net1=a', '', 'net1'],
  ['explicit comes with a second one', 'a@net1 a', 'net1=a', '', 'net1 net2'],
  ['explicit comes behind a second one', 'a a@net1', 'net1=a', '', 'net2 net1'],
  ['explicit goes', 'a', 'x=a@x', '', 'net1'],
  ['explicit ones swap', 'a@y b@x', 'x=a@x y=b@y', '', 'y x'],
  ['explicit, of one that is leaving', 'b@x', 'x=a@x', '', 'x'],
  ['explicit, of one that moves away', 'a@y b@x', 'x=a@x', '', 'y x'],
  ['from the other dialect the name is kept', 'green', `${GREEN}=k:green`, '', GREEN],
  ['to the other dialect it is not', 'k:green', 'net1=green', '', GREEN],
  ['a hash that is written', `k:green a@${GREEN}`, `${GREEN}=k:green`, '', `${GREEN} -`],
  ['two with one name: the later', 'a@x b@x c', '', '', 'x - net1'],
  ['the same network twice with one name', 'a@x a@x', 'x=a@x', '', 'x -'],
  ['two with one name: who has it', 'b@x a@x', 'x=a@x', '', '- x'],
  ['nor is a given name to be had', 'b@net1 a', 'net1=a', '', '- net1'],
  ['hashes collide', 'k:green k:n/green', '', '', `${GREEN} -`],
  ['taken', 'a@x b', '', 'x', '- net1'],
  ["nobody's", 'a@x', 'x=', '', '-'],
  ['of a primary that stands', 'a@x', 'x=b!', '', '-'],
  ['of one that is left alone', 'a@x', 'x=k:b^', '', '-'],
  ['its own, though it is left alone', 'k:green', `${GREEN}=k:green^`, '', GREEN],
  ['what stood as primary', 'a', 'net1=a!', '', 'net2'],
  ['nothing', '', 'net1=a', 'net2', ''],
]

test('who gets which', t => {
  for (const [why, want, have, taken, names] of rows) t.is(named(want, have, taken), names, why)
})

test('what is said of a conflict', t => {
  const {problems} = assignNames(selected(['a@x', 'b@x', 'k:green', 'k:n/green', 'c@y']), [], {taken: new Set(['y'])})
  t.deepEqual(problems, [
    {
      at: 'networks[1].interface',
      message:
        'annotation networks[1].interface is "x", which is the interface of networks[0]; choose another name, or leave it away',
      means: {namespace: 'pod', name: 'b'},
    },
    {
      at: 'networks[3].name',
      message: `annotation networks[3].name would be the interface ${GREEN}, which is the interface of networks[2]; remove one of the two`,
      means: {namespace: 'n', name: 'green'},
    },
    {
      at: 'networks[4].interface',
      message:
        'annotation networks[4].interface is "y", which the pod has already for something else; choose another name, or leave it away',
      means: {namespace: 'pod', name: 'c'},
    },
  ])
})

const IFNAMES = ['net1', 'net2', 'net3', 'x', 'y', hashName('a'), hashName('b')] as const
const one: fc.Arbitrary<Selection> = fc
  .record({
    dialect: fc.constantFrom('npwg', 'kaloom'),
    namespace: fc.constantFrom('pod', 'o'),
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    interface: fc.option(fc.constantFrom(...IFNAMES), {freq: 3}),
    ips: fc.option(fc.constantFrom(['10.0.0.1'], ['10.0.0.2']), {freq: 3}),
    primary: fc.constantFrom(undefined, undefined, undefined, true),
  })
  .map(({dialect, namespace, name, interface: ifname, ips, primary}) => ({
    dialect,
    namespace,
    name,
    ...(ifname !== null && dialect === 'npwg' && {interface: ifname}),
    ...(ips !== null && {ips}),
    ...(primary && {primary}),
  }))
const some = fc.array(one, {maxLength: 8})
const there = fc
  .uniqueArray(fc.record({ifname: fc.constantFrom(...IFNAMES), selection: fc.option(one, {nil: undefined})}), {
    selector: ({ifname}) => ifname,
  })
  .map((all): Standing[] => all.map(({ifname, selection}) => ({ifname, ...(selection && {selection})})))
const others = fc.subarray([...IFNAMES]).map(names => new Set<string>(names))

const numbered = (selections: readonly Selection[]): Selected[] =>
  selections.map((selection, i) => ({at: `networks[${i}]`, selection}))

const keyOf = ({namespace, name}: Selection): string => `${namespace}/${name}`

/** As the journal has them once all have been attached. */
const attached = (named: readonly {readonly selected: Selected; readonly ifname: string}[]): Standing[] =>
  named.map(({selected: {selection}, ifname}) => ({ifname, selection}))

test('every one has a name of its own, or a problem', t => {
  const property = fc.property(some, there, others, (selections, standing, taken) => {
    const wanted = numbered(selections).filter(({selection}) => !selection.primary)
    const {named, problems} = assignNames(numbered(selections), standing, {taken})
    t.is(new Set(named.map(({ifname}) => ifname)).size, named.length)
    t.is(named.length + problems.length, wanted.length)
    for (const {selected, ifname} of named) {
      const {interface: written, dialect, name} = selected.selection
      if (written !== undefined) t.is(ifname, written)
      else if (dialect === 'kaloom') t.is(ifname, hashName(name))
      const own = standing.find(each => each.ifname === ifname)?.selection
      t.true(!taken.has(ifname) || (own && keyOf(own) === keyOf(selected.selection)))
    }
  })
  fc.assert(property, {numRuns: 3000})
})

test('named again, everything is as it was, in whatever order it stands', t => {
  const property = fc.property(some, there, fc.infiniteStream(fc.nat()), (selections, standing, order) => {
    const before = assignNames(numbered(selections), standing)
    const left = attached(before.named)
    const shuffled = left.map(each => [order.next().value, each] as const).sort(([a], [b]) => a - b)
    const after = assignNames(
      before.named.map(({selected}) => selected),
      shuffled.map(([, each]) => each),
    )
    t.deepEqual(after.problems, [])
    const texts = (named: typeof before.named) =>
      named.map(({selected, ifname}) => `${JSON.stringify(selected.selection)} ${ifname}`).sort()
    t.deepEqual(texts(after.named), texts(before.named))
  })
  fc.assert(property, {numRuns: 2000})
})

test('the order of the annotation changes no name', t => {
  const property = fc.property(some, fc.infiniteStream(fc.nat()), (selections, order) => {
    const before = assignNames(numbered(selections), [])
    const shuffled = before.named.map(({selected}) => [order.next().value, selected] as const).sort(([a], [b]) => a - b)
    const after = assignNames(
      shuffled.map(([, each]) => each),
      attached(before.named),
    )
    const texts = (named: typeof before.named) =>
      named.map(({selected, ifname}) => `${JSON.stringify(selected.selection)} ${ifname}`).sort()
    t.deepEqual(texts(after.named), texts(before.named))
  })
  fc.assert(property, {numRuns: 2000})
})

test('an edit of other elements changes no name', t => {
  const property = fc.property(some, some, fc.nat(), (selections, edited, at) => {
    const before = assignNames(numbered(selections), [])
    for (const key of new Set(before.named.map(({selected}) => keyOf(selected.selection)))) {
      const isMine = ({selected}: {readonly selected: Selected}) => keyOf(selected.selection) === key
      const mine = before.named.filter(isMine)
      const rest = edited.filter(each => keyOf(each) !== key)
      const own = mine.map(({selected}) => selected.selection)
      const now = numbered(rest.toSpliced(at % (rest.length + 1), 0, ...own))
      const after = assignNames(now, attached(before.named))
      t.deepEqual(
        after.named.filter(isMine).map(({ifname}) => ifname),
        mine.map(({ifname}) => ifname),
      )
    }
  })
  fc.assert(property, {numRuns: 1000})
})

test('one of several that name one network goes: the others keep their names', t => {
  const property = fc.property(
    fc.uniqueArray(one, {selector: each => JSON.stringify(each), maxLength: 6}),
    fc.nat(),
    (all, at) => {
      const before = assignNames(numbered(all.map(each => ({...each, namespace: 'pod', name: 'a'}))), [])
      const seen = new Set(before.named.map(({selected}) => JSON.stringify(selected.selection)))
      // Those that say the same are told apart by their turn.
      fc.pre(seen.size === before.named.length && seen.size > 0)
      const left = before.named.toSpliced(at % before.named.length, 1)
      const after = assignNames(
        left.map(({selected}) => selected),
        attached(before.named),
      )
      t.deepEqual(after.named, left)
    },
  )
  fc.assert(property, {numRuns: 1000})
})
