/** Whatever an annotation holds: never an exception, never a sentence that cannot be read. */
import test from 'ava'
import fc from 'fast-check'
import {assignNames} from '../../src/attach/names.ts'
import {parseDefaultNetwork, parseSelections} from '../../src/attach/selections.ts'
import type {Selected, SelectionProblem} from '../../src/model/attachment.ts'
import {ANNOTATION, selection, written} from './support.ts'

/** Throws where a problem is not as it must be. */
function mustBeSayable({at, message}: SelectionProblem): void {
  if (message.length > 300) throw new Error(`${message.length} characters: ${message}`)
  if (!message.includes(at)) throw new Error(`${at} is not in: ${message}`)
  if (message.includes('\n') || !message.includes(';')) throw new Error(`not a sentence with an advice: ${message}`)
}

function mustHold(npwg: string, kaloom: string): void {
  const {selected, problems} = parseSelections({[ANNOTATION.npwg]: npwg, [ANNOTATION.kaloom]: kaloom}, 'pod')
  problems.forEach(mustBeSayable)
  if (selected.filter(each => each.selection.primary).length > 1) throw new Error('two primaries')
  // It goes through the journal.
  for (const each of selected) mustBeEqual(JSON.parse(JSON.stringify(each.selection)), each.selection)
  const names = assignNames(selected, [])
  names.problems.forEach(mustBeSayable)
  const found = parseDefaultNetwork(npwg, 'pod')
  if (found && 'message' in found) mustBeSayable(found)
}

const mustBeEqual = (one: unknown, other: unknown): void => {
  if (JSON.stringify(one) !== JSON.stringify(other)) throw new Error(`${JSON.stringify(one)}: ${JSON.stringify(other)}`)
}

const texts = fc.oneof(
  fc.string(),
  fc.string({unit: 'binary'}),
  fc.string({unit: fc.constantFrom(...'ab/@, \t-["{}]:\\\u0000'), maxLength: 40}),
  fc.json(),
)

test('any text', t => {
  fc.assert(fc.property(texts, texts, mustHold), {numRuns: 3000})
  t.pass()
})

const word = fc.oneof(
  fc.string(),
  fc.constantFrom('', 'a', 'eth0', 'lo', '10.0.0.1', '::1/64', '02:00:00:00:00:01', 'tcp'),
)
const anything = fc.oneof(
  word,
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.jsonValue(),
  fc.array(word),
)
const KEYS = [
  ...['name', 'namespace', 'ips', 'mac', 'interface', 'infiniband-guid', 'portMappings', 'bandwidth', 'cni-args'],
  ...['default-route', 'deviceID', 'ipam-claim-reference', 'ifMac', 'isPrimary', 'podagentSkip', 'required'],
  ...['upperLayers', '__proto__', 'constructor', 'NAME', 'Mac', 'hostPort', 'containerPort', 'ingressRate'],
] as const
const flat = fc.array(fc.tuple(fc.constantFrom(...KEYS), anything)).map(entries => Object.fromEntries(entries))
const element = fc
  .array(fc.tuple(fc.constantFrom(...KEYS), fc.oneof(anything, flat, fc.array(flat, {maxLength: 2}))))
  .map(entries => Object.fromEntries([['name', 'a'], ...entries]) as object)

test('any element', t => {
  const list = fc.array(fc.oneof(element, anything), {maxLength: 6}).map(elements => JSON.stringify(elements))
  fc.assert(fc.property(list, list, mustHold), {numRuns: 3000})
  t.pass()
})

/** A character is left out, doubled, or another one. */
const mutation = fc.tuple(
  fc.nat(),
  fc.constantFrom('', '"', '{', '}', '[', ']', ',', ':', '\\', '0', 'a', '\u0000', 'é'),
)

test('JSON that has been damaged', t => {
  const list = fc.array(selection.map(written), {minLength: 1, maxLength: 4}).map(elements => JSON.stringify(elements))
  const damaged = fc.tuple(list, fc.array(mutation, {maxLength: 4})).map(([text, mutations]) =>
    mutations.reduce((now, [at, char]) => {
      const i = at % (now.length + 1)
      return now.slice(0, i) + char + now.slice(i + (at % 2))
    }, text),
  )
  fc.assert(fc.property(damaged, damaged, mustHold), {numRuns: 3000})
  t.pass()
})

test('what is written is what is read', t => {
  const property = fc.property(selection, fc.boolean(), (of, shout) => {
    const element = Object.entries(written(of)).map(([key, value]) => [shout ? key.toUpperCase() : key, value])
    const text = JSON.stringify([Object.fromEntries(element)])
    const {selected, problems} = parseSelections({[ANNOTATION[of.dialect]]: text}, 'pod')
    t.deepEqual(problems, [])
    t.deepEqual(
      selected.map(each => each.selection),
      [of],
    )
  })
  fc.assert(property, {numRuns: 2000})
})

test('the comma list says the same as JSON', t => {
  const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,5}[a-z0-9])?$/)
  const part = fc.record({name: label, namespace: fc.option(label), interface: fc.option(label)})
  const property = fc.property(
    fc.array(part, {minLength: 1, maxLength: 5}),
    fc.constantFrom('', ' ', '\n\t'),
    (parts, space) => {
      const short = parts.map(
        ({name, namespace, interface: ifname}) =>
          `${space}${namespace === null ? '' : `${namespace}/`}${name}${ifname === null ? '' : `@${ifname}`}${space}`,
      )
      const read = (text: string) => parseSelections({[ANNOTATION.npwg]: text}, 'pod')
      t.deepEqual(read(short.join(',')), read(JSON.stringify(parts)))
    },
  )
  fc.assert(property)
})

test('one faulty element changes nothing of the others', t => {
  const names = (selected: readonly Selected[]) => selected.map(each => JSON.stringify(each.selection)).sort()
  const property = fc.property(
    fc.uniqueArray(
      selection.map(of => ({...of, dialect: 'npwg' as const, primary: undefined, startOnly: undefined})),
      {
        selector: ({name}) => name,
        maxLength: 5,
      },
    ),
    fc.constantFrom('{"name":"zz-faulty","mac":1}', '7', '{}', 'null', '{"name":"zz-faulty","interface":"eth0"}'),
    fc.nat(),
    (selections, faulty, at) => {
      const elements = selections.map(each => JSON.stringify(written(each as never)))
      const read = (list: readonly string[]) => parseSelections({[ANNOTATION.npwg]: `[${list.join()}]`}, 'pod')
      const with_ = read(elements.toSpliced(at % (elements.length + 1), 0, faulty))
      t.is(with_.problems.length, 1)
      t.deepEqual(names(with_.selected), names(read(elements).selected))
    },
  )
  fc.assert(property)
})
