/** Who may use which definitions. */
import test from 'ava'
import fc from 'fast-check'
import {type UseRules, useRefusal} from '../../src/attach/use.ts'

const CLOSED: UseRules = {isolation: true, grants: [], namespaces: []}
const grant = (text: string): UseRules['grants'][number] => {
  const [from = '', names = '', to = ''] = text.split(' ')
  const list = (words: string) => words.split(',').filter(Boolean)
  return {
    from,
    names: list(names.replace('*', '')),
    to: list(to.replace('*', '')),
  } as unknown as UseRules['grants'][number]
}

const rows: readonly [why: string, rules: Partial<UseRules>, pod: string, network: string, refused?: RegExp][] = [
  ['their own', {}, 'a', 'a/green'],
  ["somebody else's", {}, 'a', 'b/green', /^pods of namespace "a" may not use "b\/green"; .*attachments\.grants/],
  ['without isolation', {isolation: false}, 'a', 'b/green'],
  ['granted to all', {grants: [grant('b * *')]}, 'a', 'b/green'],
  ['granted by name', {grants: [grant('b green,red *')]}, 'a', 'b/red'],
  ['another name', {grants: [grant('b red *')]}, 'a', 'b/green', /may not/],
  ['granted to it', {grants: [grant('b * c,a')]}, 'a', 'b/green'],
  ['granted to others', {grants: [grant('b * c')]}, 'a', 'b/green', /may not/],
  ['granted from elsewhere', {grants: [grant('c * *')]}, 'a', 'b/green', /may not/],
  ['one of several', {grants: [grant('b red *'), grant('b green a')]}, 'a', 'b/green'],
  [
    'not watched, though their own',
    {namespaces: ['b'] as never},
    'a',
    'a/green',
    /does not watch; add it to attachments\.namespaces/,
  ],
  [
    'not watched, though granted',
    {namespaces: ['a'] as never, grants: [grant('b * *')]},
    'a',
    'b/green',
    /does not watch/,
  ],
  ['not watched, without isolation', {namespaces: ['a'] as never, isolation: false}, 'a', 'b/green', /does not watch/],
  ['watched', {namespaces: ['a', 'b'] as never, grants: [grant('b * *')]}, 'a', 'b/green'],
]

for (const [why, rules, pod, network, refused] of rows)
  test(why, t => {
    const [namespace = '', name = ''] = network.split('/')
    const reason = useRefusal({...CLOSED, ...rules}, pod, {namespace, name})
    if (refused) t.regex(reason ?? '', refused)
    else t.is(reason, undefined)
  })

const label = fc.constantFrom('a', 'b', 'c')
test('with isolation and without a grant nobody gets at what is not theirs', t => {
  const grants = fc.array(
    fc.record({from: label, names: fc.array(label, {maxLength: 2}), to: fc.array(label, {maxLength: 2})}),
  )
  fc.assert(
    fc.property(grants, label, label, label, (given, pod, namespace, name) => {
      const rules = {...CLOSED, grants: given as unknown as UseRules['grants']}
      if (useRefusal(rules, pod, {namespace, name}) !== undefined) return t.not(pod, namespace)
      const isGranted = given.some(
        ({from, names, to}) =>
          from === namespace && (names.length === 0 || names.includes(name)) && (to.length === 0 || to.includes(pod)),
      )
      t.true(pod === namespace || isGranted)
    }),
  )
})
