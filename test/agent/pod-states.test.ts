/** What a pod's user is told of each of its networks. */
import test from 'ava'
import {pendingStates, statesOf} from '../../src/agent/pod-states.ts'
import {assignNames} from '../../src/attach/names.ts'
import {type Named, planAttachments, type Standing, type Wish} from '../../src/attach/plan.ts'
import type {AttachmentState} from '../../src/attach/status.ts'
import type {Entry, Plan} from '../../src/cni/journal.ts'
import type {Selected, Selection, SelectionProblem} from '../../src/model/attachment.ts'

const words = (text = ''): string[] => text.split(' ').filter(word => word !== '')

const RESOLVED = {
  definition: {kind: 'NetworkAttachmentDefinition', namespace: 'n', name: ''},
  config: '',
  list: '',
} as const

/** "green@net1": that name; "green*": the primary; "green!": at the start only. */
function selectionOf(text: string): Selection {
  const [, name, mark, ifname] = /^(\w+)([*!]?)(?:@(\w+))?$/.exec(text)!
  return {
    dialect: 'npwg',
    namespace: 'n',
    name: name!,
    ...(ifname !== undefined && {interface: ifname}),
    ...(mark === '*' && {primary: true}),
    ...(mark === '!' && {startOnly: true}),
  }
}

/** "net1=green"; after that "-" of one that goes, "~" of one that has never stood. */
function entryOf(text: string): Entry {
  const [, ifname, of, mark] = /^(\w+)=([\w*!]+)([-~]?)$/.exec(text)!
  const attachment = {...RESOLVED, origin: 'annotation', selection: selectionOf(of!)} as const
  const plan: Partial<Plan> = {containerId: 'c', ifname: ifname!, attachment}
  return {plan: plan as Plan, state: mark === '-' ? 'deleting' : mark === '~' ? 'adding' : 'added'}
}

const standingOf = ({plan: {ifname, attachment}}: Entry): Standing => ({...attachment!, ifname})

/** "green": a fault of an element that means it; "-": of one that may mean anything. */
const problemOf = (word: string): SelectionProblem => ({
  at: 'networks[9]',
  message: `fault of ${word}`,
  ...(word !== '-' && {means: {namespace: 'n', name: word}}),
})

/** "n/green net1 attached: why" */
const format = (states: readonly AttachmentState[]): string[] =>
  states.map(
    ({name, interface: ifname, state, reason}) =>
      [name || '?', ifname, state].filter(each => each !== undefined).join(' ') +
      (reason === undefined ? '' : `: ${reason}`),
  )

interface Case {
  readonly title: string
  readonly asked?: string
  readonly faults?: string
  /** Before the pass. */
  readonly had?: string
  /** After it. */
  readonly has?: string
  /** Names of definitions that cannot be had. */
  readonly unknown?: string
  /** Interfaces. */
  readonly failures?: string
  readonly first?: string
  readonly want: readonly string[]
}

const PRIMARY =
  "networks[0]: a primary network takes the place of the pod's first one when the pod starts; it cannot be attached to a running pod: start the pod anew"

const CASES: readonly Case[] = [
  {title: 'nothing is asked for', want: []},
  {
    title: 'attached now, and kept',
    asked: 'green blue',
    had: 'net1=green',
    has: 'net1=green net2=blue',
    want: ['n/green net1 attached', 'n/blue net2 attached'],
  },
  {
    title: 'failed: nothing stands',
    asked: 'green blue',
    has: 'net1=green net2=blue~',
    failures: 'net2',
    want: ['n/green net1 attached', 'n/blue net2 failed: trouble of net2'],
  },
  {
    title: 'could not be changed, and stands as it was',
    asked: 'green',
    had: 'net1=green',
    has: 'net1=green',
    failures: 'net1',
    want: ['n/green net1 attached: trouble of net1'],
  },
  {
    title: 'of another network that keeps its name',
    asked: 'blue@net1',
    had: 'net1=green',
    has: 'net1=green',
    unknown: 'blue',
    want: ['n/blue net1 failed: no blue'],
  },
  {
    title: 'no definition any more',
    asked: 'green blue',
    had: 'net1=green',
    has: 'net1=green',
    unknown: 'green blue',
    want: ['n/green net1 attached: no green', 'n/blue net2 failed: no blue'],
  },
  {
    title: 'two of one name',
    asked: 'green@net1 blue@net1',
    has: 'net1=green',
    want: [
      'n/green net1 attached',
      'n/blue failed: annotation networks[1].interface is "net1", which is the interface of networks[0]; choose another name, or leave it away',
    ],
  },
  {
    title: "another controller's",
    asked: 'green! blue!',
    had: 'net1=green!',
    has: 'net1=green!',
    want: ['n/green net1 attached', 'n/blue net2 pending: podagentSkip: it is left to another controller'],
  },
  {title: 'primary as it started', asked: 'green*', first: 'eth0=green*', want: ['n/green eth0 attached']},
  {title: 'primary of a running pod', asked: 'green*', first: 'eth0=blue*', want: [`n/green failed: ${PRIMARY}`]},
  {title: 'primary, the first one unknown', asked: 'green*', want: [`n/green failed: ${PRIMARY}`]},
  {
    title: 'faults, and what stays for them',
    asked: 'green',
    faults: 'blue -',
    had: 'net1=green net2=blue net3=red',
    has: 'net1=green net2=blue net3=red',
    want: [
      'n/green net1 attached',
      'n/blue failed: fault of blue',
      '? failed: fault of -',
      'n/blue net2 attached: fault of blue',
      'n/red net3 attached: fault of -',
    ],
  },
  {
    title: 'not asked for, and gone',
    had: 'net1=green',
    want: [],
  },
  {
    title: 'not asked for, but does not go',
    had: 'net1=green',
    has: 'net1=green-',
    failures: 'net1',
    want: ['n/green net1 attached: net1 does not go'],
  },
  {
    title: 'not asked for, and gone but for a remnant',
    had: 'net1=green',
    failures: 'net1',
    want: ['n/green net1 failed: trouble of net1'],
  },
  {
    title: 'what goes is told of by what takes its name',
    asked: 'blue@net1',
    had: '',
    has: 'net1=green-',
    failures: 'net1',
    want: ['n/blue net1 failed: trouble of net1'],
  },
]

for (const each of CASES)
  test(each.title, t => {
    const selected: Selected[] = words(each.asked).map((word, i) => ({
      at: `networks[${i}]`,
      selection: selectionOf(word),
    }))
    const standing = words(each.had).map(entryOf).map(standingOf)
    const problems = words(each.faults).map(problemOf)
    const names = assignNames(selected, standing, {taken: new Set(['eth0'])})
    const isSkipped = ({selected: {selection}, ifname}: Named) =>
      selection.startOnly === true && !standing.some(its => its.ifname === ifname)
    const unknown = words(each.unknown)
    const wishes: Wish<string>[] = names.named
      .filter(its => !isSkipped(its))
      .map(its => {
        const {name} = its.selected.selection
        return {...its, resolution: unknown.includes(name) ? {reason: `no ${name}`, again: true} : RESOLVED}
      })
    const states = statesOf({
      asked: {selected, problems},
      names,
      skipped: names.named.filter(isSkipped),
      plan: planAttachments(wishes, standing, [...problems, ...names.problems]),
      failures: new Map(words(each.failures).map(ifname => [ifname, `trouble of ${ifname}`])),
      first: each.first === undefined ? undefined : entryOf(each.first),
      now: words(each.has).map(entryOf),
      stuck: ({plan, state}) => (state === 'deleting' ? `${plan.ifname} does not go` : undefined),
    })
    t.deepEqual(format(states), each.want)
  })

test('a pod that has not started yet', t => {
  const selected = [{at: 'networks[0]', selection: selectionOf('green')}]
  t.deepEqual(format(pendingStates({selected, problems: [problemOf('blue')]}, 'not started')), [
    'n/green pending: not started',
    'n/blue failed: fault of blue',
  ])
})
