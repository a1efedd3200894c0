/** Entries by container and by pod: as if all of them were looked through. */
import test from 'ava'
import fc from 'fast-check'
import {createEntryIndex} from '../../src/cni/entry-index.ts'
import {type Entry, keyOf, type Plan} from '../../src/cni/journal.ts'
import {planOf} from './journal-support.ts'

const step = fc.record({
  containerId: fc.constantFrom('c1', 'c2', 'c3'),
  ifname: fc.constantFrom('eth0', 'net1'),
  pod: fc.constantFrom(undefined, {namespace: 'a', name: 'x', uid: '1'}, {namespace: 'a', name: 'x', uid: '2'}),
  ends: fc.boolean(),
})

test('whatever comes and goes', t => {
  fc.assert(
    fc.property(fc.array(step, {maxLength: 30}), steps => {
      const index = createEntryIndex()
      const all = new Map<string, Entry>()
      for (const {ends, ...more} of steps) {
        const plan: Plan = planOf(more)
        if (ends) {
          all.delete(keyOf(plan))
          index.remove(keyOf(plan))
          continue
        }
        const entry: Entry = {plan, state: 'adding'}
        all.set(keyOf(plan), entry)
        index.put(keyOf(plan), entry)
      }
      const sorted = (entries: readonly Entry[]) =>
        entries.map(({plan: {containerId, ifname, pod}}) => `${containerId} ${ifname} ${pod?.uid}`).sort()
      const where = (is: (plan: Plan) => boolean) => sorted([...all.values()].filter(({plan}) => is(plan)))
      for (const id of ['c1', 'c2', 'c3', 'none'])
        t.deepEqual(
          sorted(index.ofContainer(id)),
          where(({containerId}) => containerId === id),
        )
      t.deepEqual(
        sorted(index.ofPod({namespace: 'a', name: 'x'})),
        where(({pod}) => pod !== undefined),
      )
      t.deepEqual(index.ofPod({namespace: 'a', name: 'y'}), [])
    }),
  )
})
