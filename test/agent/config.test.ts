import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import {pages} from '../../scripts/docs.ts'
import {type Environment, loadConfig, parseConfigText} from '../../src/agent/config.ts'
import {parseConfig} from '../../src/model/config.ts'
import {ConfigError} from '../../src/model/config-problems.ts'

const refusal = (text: string): string => {
  try {
    parseConfigText(text)
    return ''
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.message
  }
}

for (const empty of ['', '\n', '---\n', '# nothing\n', 'null', '{}', 'log:\nnetworks:\n'])
  test(`all defaults: ${JSON.stringify(empty)}`, t => t.deepEqual(parseConfigText(empty), parseConfig({})))

const KEYS =
  'node, kubernetes, clusterCIDRs, serviceCIDRs, store, networks, folders, cni, attachments, pairs, kernel, metrics, log'

for (const [text, want] of [
  [
    'log:\n  level: info\n\nnetworks:\n  - name: a\n    backend: dierct\n',
    'config:6:5: networks[0].backend: "dierct" is not one of auto, direct, vxlan, none; did you mean direct?',
  ],
  [
    'networks:\n  - {name: a}\n  - 7\nlog: {level: 1, x: 2}\n',
    `config:3:5: networks[1]: must be a mapping of keys to values, not 7
config:4:7: log.level: 1 is not one of trace, debug, info, warn, error
config:4:17: log.x: is not a known key; remove it, or use one of level`,
  ],
  [
    'networks:\n  - nodeAddresses:\n      map:\n        n1: fd00::1\n        n2: [fd00::2,\n          fd00::x]\n        N: fd00::3\n        n4:\n',
    `config:6:11: networks[0].nodeAddresses.map.n2[1]: "fd00::x" is not an IP address
config:7:9: networks[0].nodeAddresses.map.N: "N" cannot be a node's name; write it as "kubectl get nodes" shows it
config:8:9: networks[0].nodeAddresses.map.n4: must be an address or a list of addresses, not nothing`,
  ],
  ['- a\n', 'config:1:1: must be a mapping of keys to values, not a list'],
  ['node: a\nlog: {}\nnode: b\n', 'config:3:1: this key is there twice; keep one of the two'],
  [
    'log: {level: info, level: warn}\nnode: a\nnode: b\n',
    `config:1:20: this key is there twice; keep one of the two
config:3:1: this key is there twice; keep one of the two`,
  ],
  ['log:\n\tlevel: info\n', 'config:2:1: a tab indents this line; use spaces'],
  ['node: a\n---\nnode: b\n', 'config:2:1: a second document begins here; keep one'],
  ['node: !secret a\n', 'config:1:7: this is not valid YAML: Unresolved tag: !secret'],
  ['node: "a\n', 'config:2:1: this is not valid YAML: Missing closing "quote'],
  ['1: a\n', `config:1:1: 1: is not a known key; remove it, or use one of ${KEYS}`],
  ['? [a]\n: b\n', `config:1:1: ["[ a ]"]: is not a known key; remove it, or use one of ${KEYS}`],
  ['base: &b {level: warn}\nlog: *b\n', `config:1:1: base: is not a known key; remove it, or use one of ${KEYS}`],
  ['log: &a\n  level: *a\n', 'config:2:3: log.level: a mapping is not one of trace, debug, info, warn, error'],
  ['node: on\nlog: {level: 0x1}\n', 'config:2:7: log.level: 1 is not one of trace, debug, info, warn, error'],
  [
    `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefghij'].map((k, i) => `${k}: &${k} [${`*${'abcdefghi'[i]},`.repeat(9)}]`).join('\n')}\n`,
    'config: nests too deeply or multiplies itself through aliases; write it out plainly',
  ],
] as const)
  test(`refused: ${JSON.stringify(text.slice(0, 60))}`, t => {
    t.is(refusal(text), want)
  })

test('nesting beyond the stack is refused, not fatal', t =>
  t.regex(refusal('['.repeat(100_000)), /nests too deeply|not valid YAML/))

test('no text makes the check throw anything but ConfigError, and each problem has a path', t => {
  const tokens = fc.array(
    fc.constantFrom(
      ...['node', 'networks', 'log', 'level', ':', ': ', '\n', '  ', '- ', '[', ']', '{', '}', ',', '"', "'"],
      ...['&a ', '*a', '!t ', '? ', '|', '>', '---\n', '#', '107', 'null', '~', '<<', '%', '\t', '\u0000', 'é'],
    ),
    {maxLength: 40},
  )
  fc.assert(
    fc.property(
      fc.oneof(
        tokens.map(list => list.join('')),
        fc.string(),
        fc.string({unit: 'binary'}),
        fc.json(),
      ),
      text => {
        try {
          parseConfigText(text)
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error
          t.true(error.problems.length > 0 && error.problems.every(({path, message}) => path && message))
        }
      },
    ),
    {numRuns: 3000},
  )
  t.pass()
})

async function load(t: ExecutionContext, content: string | Uint8Array, env: Environment = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'config-'))
  t.teardown(() => rm(folder, {recursive: true, maxRetries: 5}))
  const path = join(folder, 'config.yaml')
  await writeFile(path, content)
  try {
    const {node, kubernetes} = await loadConfig(path, env)
    return `node ${node}, kubeconfig ${kubernetes.kubeconfig}`
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.message.replaceAll(folder, '')
  }
}

const POD = {KUBERNETES_SERVICE_HOST: '10.0.0.1'}

for (const [content, env, want] of [
  ['', POD, 'node undefined, kubeconfig undefined'],
  ['', {...POD, NODE_NAME: 'b', KUBECONFIG: '/k'}, 'node b, kubeconfig undefined'],
  ['', {...POD, NODE_NAME: ''}, 'node undefined, kubeconfig undefined'],
  ['', {KUBECONFIG: '/k'}, 'node undefined, kubeconfig /k'],
  ['node: a\nkubernetes: {kubeconfig: /f}', {...POD, NODE_NAME: 'b', KUBECONFIG: '/k'}, 'node a, kubeconfig /f'],
  ['node: a\nkubernetes: {kubeconfig: /f}', {NODE_NAME: 'B', KUBECONFIG: '/k:/l'}, 'node a, kubeconfig /f'],
  [
    '',
    {NODE_NAME: 'B', KUBECONFIG: '/k:/l'},
    `/config.yaml: node: "B", which NODE_NAME of the environment says, cannot be a node's name; set it from spec.nodeName
/config.yaml: kubernetes.kubeconfig: "/k:/l", which KUBECONFIG of the environment says, names several files; name one`,
  ],
  [
    '',
    {},
    '/config.yaml: kubernetes.kubeconfig: is empty, and neither KUBERNETES_SERVICE_HOST nor KUBECONFIG is in the environment; name a kubeconfig file',
  ],
  ['\n\nnode: 1', {}, '/config.yaml:3:1: node: must be text, not 1; put it in quotes'],
  [Uint8Array.of(0xff, 0xfe, 0x00), POD, '/config.yaml: is not UTF-8 text; is it the right file?'],
  ['#'.repeat(1024 * 1024 + 1), POD, '/config.yaml: is larger than 1048576 bytes; is it the right file?'],
  ['\ufeffnode: a', POD, 'node a, kubeconfig undefined'],
] as const)
  test(`${JSON.stringify(content.slice(0, 50))} with ${JSON.stringify(env)}`, async t =>
    t.is(await load(t, content, env), want))

test('a file that cannot be read', async t => {
  const error = await t.throwsAsync(loadConfig('/nowhere/config.yaml', {}), {instanceOf: ConfigError})
  t.is(
    error?.message,
    '/nowhere/config.yaml: cannot be read (no such file or directory); check the path and its permissions',
  )
  t.is((error?.cause as NodeJS.ErrnoException).code, 'ENOENT')
})

for (const [path, text] of Object.entries(pages()))
  test(`${path} is up to date (npm run docs)`, async t =>
    t.is(await readFile(new URL(`../../${path}`, import.meta.url), 'utf8'), text))

test('the defaults that the page shows are the defaults', t => {
  const [, yaml] = /```yaml\n(.*?)```/s.exec(pages()['docs/config.md']!)!
  t.deepEqual(parseConfigText(yaml!), parseConfig({}))
})
