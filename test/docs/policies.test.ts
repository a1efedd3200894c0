/** The admission policies: by the Kubernetes schemas, and against what the agent reads. */
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import {parseSelections} from '../../src/attach/selections.ts'
import type {Selection} from '../../src/model/attachment.ts'
import {parsePairs} from '../../src/pairs/declarations.ts'
import {documents, type Manifest, only, render} from '../deploy/support/manifests.ts'
import {problemsOf} from '../deploy/support/schemas.ts'
import {ROOT} from './support/page.ts'

const read = (file: string): Manifest[] => documents(readFileSync(join(ROOT, file), 'utf8'))
const policy = (name: string): Manifest[] => render(`policies/${name}`)
const rulesOf = (name: string): Manifest => only(policy(name), 'ValidatingAdmissionPolicy')

for (const name of ['agents', 'tenants'])
  test(`${name}: a policy and its binding`, async t => {
    const [rules, binding] = [rulesOf(name), only(policy(name), 'ValidatingAdmissionPolicyBinding')]
    for (const manifest of [rules, binding]) {
      t.deepEqual(await problemsOf(manifest), [])
      t.is(manifest.metadata.namespace, undefined)
    }
    t.is(binding.spec.policyName, rules.metadata.name)
    t.deepEqual(binding.spec.validationActions, ['Deny'])
  })

test("the agents' policy is about the manifests' own account", t => {
  const {spec} = rulesOf('agents')
  const [account] = read('deploy/base/service-account.yaml')
  t.true(spec.matchConditions[0].expression.includes(`kube-system:${account!.metadata.name}'`))
})

/** The patterns of the tenants' policy, in their order. In CEL's text a backslash is two. */
const [NETWORKS, KALOOM, PAIRS] = rulesOf('tenants').spec.validations.flatMap(({expression}: {expression: string}) =>
  [...expression.matchAll(/matches\('(.*)'\)\)/g)].map(([, pattern]) => new RegExp(pattern!.replaceAll('\\\\', '\\'))),
) as [RegExp, RegExp, RegExp]

const refuses = (pattern: RegExp, text: string): boolean => text.includes('\\') || pattern.test(text)

/** In any spelling that JSON and the agent take. */
const spelled = (key: string) =>
  fc
    .array(fc.constantFrom('as it is', 'upper', 'escaped'), {minLength: key.length, maxLength: key.length})
    .map(ways =>
      [...key]
        .map((char, i) =>
          ways[i] === 'upper'
            ? char.toUpperCase()
            : ways[i] === 'escaped'
              ? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
              : char,
        )
        .join(''),
    )
const space = fc.constantFrom('', ' ', '\n', '\t ')

/** Of each key that a tenant is not to choose. */
const VALUES: Readonly<Record<string, string>> = {
  ips: '["10.0.0.1/24"]',
  mac: '"02:00:00:00:00:01"',
  ifMac: '"02:00:00:00:00:01"',
  'cni-args': '{"a": 1}',
  portMappings: '[{"hostPort": 22, "containerPort": 22}]',
  'default-route': '["10.0.0.1"]',
  deviceID: '"0000:03:00.0"',
  isPrimary: 'true',
  'infiniband-guid': '"c2:11:22:33:44:55:66:77"',
}
/** What a selection may have all the same. */
const HARMLESS = ['dialect', 'namespace', 'name', 'interface', 'bandwidth', 'optional', 'startOnly']

const tells = (selection: Selection): string[] => Object.keys(selection).filter(key => !HARMLESS.includes(key))

test('property: what the agent takes, and tenants must not choose, is refused in every spelling', t => {
  const cases = [
    ['k8s.v1.cni.cncf.io/networks', NETWORKS],
    ['networks', KALOOM],
  ] as const
  for (const [annotation, pattern] of cases) {
    let taken = 0
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(VALUES)).chain(key => fc.tuple(fc.constant(key), spelled(key))),
        fc.tuple(space, space),
        ([key, word], [before, after]) => {
          const text = `[{"name": "green", ${before}"${word}"${before}:${after}${VALUES[key]}}]`
          const {selected} = parseSelections({[annotation]: text}, 'default')
          if (!selected.some(({selection}) => tells(selection).length > 0)) return
          taken++
          t.true(refuses(pattern, text), text)
        },
      ),
      {numRuns: 500},
    )
    t.true(taken > 50, `${taken}`)
  }
  for (const text of ['green', 'green@net7,blue', '[{"name": "green", "interface": "ips"}, {"name": "mac"}]'])
    t.false(refuses(NETWORKS, text), text)
})

test('property: a peer of another namespace is refused in every spelling', t => {
  let taken = 0
  fc.assert(
    fc.property(spelled('peer'), space, fc.constantFrom('other/b', 'other\\/b', 'b'), (key, gap, peer) => {
      const text = `[{"${key}"${gap}:${gap}"${peer}", "interface": "in1", "ips": ["10.0.0.1/24"]}]`
      const {declarations} = parsePairs({'netgraft.dev/pairs': text}, {}, {namespace: 'default', name: 'a'})
      if (!declarations.some(each => !each.peer.startsWith('default/'))) return
      taken++
      t.true(refuses(PAIRS, text), text)
    }),
    {numRuns: 300},
  )
  t.true(taken > 50)
  t.false(refuses(PAIRS, '[{"peer": "b", "interface": "in1", "ips": ["10.0.0.1/24"]}]'))
})
