/** Whom a definition's change concerns. */
import test from 'ava'
import fc from 'fast-check'
import {definitionUsers} from '../../src/agent/definition-users.ts'
import {parseOnce} from '../../src/agent/parse-once.ts'
import {POD_ANNOTATIONS, type PodFacts, type PodKey} from '../../src/streams/pods.ts'

const network = fc.constantFrom('a', 'b', 'c', 'x/a', 'y/b@eth7')
const pod = fc.record({
  namespace: fc.constantFrom('x', 'y'),
  name: fc.constantFrom('p', 'q', 'r', 's'),
  npwg: fc.array(network, {maxLength: 3}),
  kaloom: fc.array(fc.constantFrom('a', 'b', 'd'), {maxLength: 2}),
})

const factsOf = ({namespace, name, npwg, kaloom}: typeof pod extends fc.Arbitrary<infer P> ? P : never): PodFacts => ({
  namespace,
  name,
  uid: '',
  annotations: {
    [POD_ANNOTATIONS.npwg]: npwg.join(),
    [POD_ANNOTATIONS.kaloom]: JSON.stringify(kaloom.map(each => ({name: each}))),
  },
  hostNetwork: false,
  ending: false,
  hasAddress: true,
  labels: {},
  createdAt: 0,
})

test('all pods that ask for it, and no others, whatever changes', t => {
  fc.assert(
    fc.property(fc.array(fc.array(pod, {maxLength: 6}), {minLength: 1, maxLength: 4}), rounds => {
      const items = new Map<PodKey, PodFacts>()
      const parse = parseOnce(() => items)
      const parsed = (facts: PodFacts) => parse(facts, facts.annotations)
      const users = definitionUsers(() => items, parsed)
      for (const pods of rounds) {
        items.clear()
        for (const each of pods) items.set(`${each.namespace}/${each.name}`, factsOf(each))
        users.forget()
        const asking = (is: (name: string) => boolean) =>
          [...items]
            .filter(([, facts]) => parsed(facts).selected.some(({selection: s}) => is(`${s.namespace}/${s.name}`)))
            .map(([key]) => key)
        for (const name of ['x/a', 'x/b', 'x/c', 'x/d', 'y/a', 'y/b', 'y/c', 'y/d', 'z/a'])
          t.deepEqual(
            users.of(name),
            asking(each => each === name),
          )
        t.deepEqual(
          users.of(undefined),
          asking(() => true),
        )
      }
    }),
  )
})

test('pods are read once for thousands of definitions', t => {
  const items = new Map([['x/p', factsOf({namespace: 'x', name: 'p', npwg: ['a', 'b'], kaloom: []})]])
  let reads = 0
  const parse = parseOnce(() => items)
  const users = definitionUsers(
    () => items,
    facts => {
      reads += 1
      return parse(facts, facts.annotations)
    },
  )
  for (let i = 0; i < 5000; i++) t.deepEqual(users.of(`x/n${i}`), [])
  t.deepEqual(users.of('x/a'), ['x/p'])
  t.is(reads, 1)
  items.clear()
  users.forget()
  t.deepEqual(users.of('x/a'), [])
})
