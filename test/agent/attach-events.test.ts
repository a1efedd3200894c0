/** What pods' users are told, and what they have been told already. */
import test from 'ava'
import fc from 'fast-check'
import {eventsOf} from '../../src/agent/attach-events.ts'
import type {PodAction} from '../../src/agent/pod-deeds.ts'
import type {PodReport} from '../../src/agent/pod-pass.ts'
import type {AttachmentState} from '../../src/attach/status.ts'

/** "attached green net1: why". */
const stateOf = (text: string): AttachmentState => {
  const [, state, name = '', ifname, reason] = /^(\w+) ?([\w/]*) ?(\w*)(?:: (.*))?$/.exec(text)!
  return {
    name,
    state: state as AttachmentState['state'],
    ...(ifname && {interface: ifname}),
    ...(reason !== undefined && {reason}),
  }
}

/** "attach net1", "detach net1!" of one that failed. */
const actionOf = (text: string): PodAction => {
  const [op, ifname] = text.replace('!', '').split(' ') as [PodAction['op'], string]
  return {op, ifname, network: 'n', ms: 1, ...(text.endsWith('!') && {error: new Error('no')})}
}

function told(before: readonly string[], now: readonly string[], actions: readonly string[] = []): string[] {
  const report: PodReport = {
    key: 'n/p',
    states: now.map(stateOf),
    actions: actions.map(actionOf),
    more: [],
    failed: false,
  }
  return eventsOf(before.map(stateOf), report).map(({type, reason, message}) => `${type} ${reason}: ${message}`)
}

test('what has been done', t => {
  t.deepEqual(told([], ['attached green net1'], ['attach net1']), ['Normal Attached: attached green as net1'])
  t.deepEqual(told(['attached green net1'], ['attached green net1'], ['update net1']), [
    'Normal Updated: changed green as net1 in place',
  ])
  t.deepEqual(told(['attached green net1'], ['attached green net1'], ['replace net1']), [
    'Normal Updated: attached green as net1 anew',
  ])
  t.deepEqual(told(['attached green net1'], [], ['detach net1']), ['Normal Detached: detached green from net1'])
  t.deepEqual(told(['failed green net1: x'], ['attached green net1']), ['Normal Attached: attached green as net1'])
  t.deepEqual(told(['attached green net1', 'failed blue net2: x'], ['attached green net1']), [])
})

test('a trouble is told once, however many there are of one name', t => {
  const troubles = [
    'failed : one',
    'failed : two',
    'failed green: three',
    'failed green: four',
    'failed green net1: five',
  ]
  t.is(told([], troubles).length, 5)
  t.deepEqual(told(troubles, troubles), [])
  t.deepEqual(told(troubles, troubles.toReversed()), [])
  t.deepEqual(told(troubles, [...troubles, 'failed : six']), ['Warning AttachFailed: six'])
  t.deepEqual(told(['failed green net1: x'], ['failed green net1: y']), ['Warning AttachFailed: green: y'])
  t.deepEqual(told([], ['pending green: not started']), [])
})

test('what a fault leaves as it was has no Event beside that of the fault', t => {
  const now = ['failed : no JSON', 'attached green net1: no JSON', 'attached blue net2: gone']
  t.deepEqual(told(['attached green net1', 'attached blue net2'], now), [
    'Warning AttachFailed: no JSON',
    'Warning NotUpdated: blue: gone',
  ])
})

const state = fc.record(
  {
    name: fc.constantFrom('', 'a', 'b'),
    interface: fc.constantFrom('net1', 'net2'),
    state: fc.constantFrom('attached' as const, 'pending' as const, 'failed' as const),
    reason: fc.constantFrom('x', 'y'),
  },
  {requiredKeys: ['name', 'state'], noNullPrototype: true},
)

test('where nothing has changed, nothing is told', t => {
  const ofOneName = ({name, interface: ifname}: AttachmentState) => `${name} ${ifname}`
  fc.assert(
    fc.property(fc.uniqueArray(state, {selector: ofOneName}), states => {
      t.deepEqual(eventsOf(states, {key: 'n/p', states, actions: [], more: [], failed: false}), [])
    }),
  )
})
