/** The how-tos and the README, as their readers follow them: real kubectl, real agents, pods in a lab. Needs root. */
import {chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test from 'ava'
import {parse} from 'yaml'
import {parseConfigText} from '../../src/agent/config.ts'
import {NODE_FLAGS} from '../../src/lab/node-flags.ts'
import {BUNDLE, built, run} from '../agent/support/node.ts'
import {documents, only} from '../deploy/support/manifests.ts'
import {Cluster} from './support/cluster.ts'
import {fileNameOf} from './support/markdown.ts'
import {commandsOf, perform, ROOT, readPage, type Step, stepsOf} from './support/page.ts'

test.before(built)

/** Milliseconds. */
const PATIENCE = 600_000
const HOWTOS = readdirSync(join(ROOT, 'docs/howto')).map(name => `docs/howto/${name}`)

for (const page of HOWTOS)
  test.serial(`${page} can be followed, and leaves nothing`, async t => {
    t.timeout(PATIENCE)
    const cluster = await Cluster.start(t)
    for (const step of stepsOf(page)) await perform(cluster, step)
    t.deepEqual(await cluster.leftovers(), [])
  })

/** What the README takes for given: two pods and a network. */
const GIVEN = `${readPage('docs/howto/hot-plug-a-nic.md').find(block => fileNameOf(block) === 'green.yaml')!.text}
${['app1', 'app2'].map(pod).join('')}`

function pod(name: string): string {
  const spec = 'terminationGracePeriodSeconds: 0, containers: [{name: main, image: none}]'
  return `---\n{apiVersion: v1, kind: Pod, metadata: {name: ${name}}, spec: {${spec}}}\n`
}

test.serial("the README's commands do what it says", async t => {
  t.timeout(PATIENCE)
  const steps = stepsOf('README.md').filter(({block}) => block.language === 'sh')
  const of = (pattern: RegExp) =>
    steps.filter(({block}) => commandsOf(block.text).every(command => pattern.test(command)))
  const inCluster = of(/^kubectl (?!apply -k)/)
  t.true(inCluster.length > 0)
  const install = of(/^dist\/netgraft\.js (un)?install\b/)
  const agent = of(/^(npm run build|dist\/netgraft\.js agent --config netgraft\.yaml)$/)
  const others = of(/^(npm|kubectl apply -k|docker) /)
  const known = new Set([...inCluster, ...install, ...agent, ...others])
  t.deepEqual(
    steps.filter(step => !known.has(step)).map(({block}) => block.text),
    [],
    'nobody runs these blocks',
  )

  const cluster = await Cluster.start(t)
  const {folder} = cluster
  cluster.write(
    'given.yaml',
    GIVEN.replaceAll('"type": "host-local"', `"type": "host-local", "dataDir": "${folder}/leases"`),
  )
  await cluster.mustRun(
    'kubectl apply -f given.yaml; kubectl wait --for=condition=Ready pod/app1 pod/app2 --timeout=60s',
  )
  for (const step of inCluster) await perform(cluster, step)
  const seen: Step = {
    page: 'README.md',
    block: {language: 'sh', line: 0, text: 'kubectl exec app1 -- ip -o addr show net1\nkubectl get pairs -o name'},
    shown: {language: '', line: 0, text: 'pair.netgraft.dev/app1.in1.app2.in1'},
  }
  await perform(cluster, seen)

  // The plugin into folders of the test's.
  mkdirSync(join(folder, 'dist'))
  const own = `--cni-bin ${folder}/bin --cni-conf ${folder}/conf`
  writeFileSync(
    join(folder, 'dist/netgraft.js'),
    `#!/bin/sh\nexec ${process.execPath} ${NODE_FLAGS.join(' ')} ${BUNDLE} "$@" ${own}\n`,
  )
  chmodSync(join(folder, 'dist/netgraft.js'), 0o755)
  for (const {block} of install) {
    const commands = commandsOf(block.text.replaceAll(/ +#.*$/gm, ''))
    t.is(commands[0], 'dist/netgraft.js install')
    await cluster.mustRun('dist/netgraft.js install')
    t.deepEqual(
      [readdirSync(join(folder, 'bin')), readdirSync(join(folder, 'conf'))],
      [['netgraft'], ['05-netgraft.conflist']],
    )
    await cluster.mustRun(commands.slice(1).join('\n'))
    t.deepEqual([...readdirSync(join(folder, 'bin')), ...readdirSync(join(folder, 'conf'))], [])
  }
})

test('what cannot be run in a lab is at least well-formed', async t => {
  for (const page of HOWTOS)
    for (const {language, text, notRun, line} of readPage(page)) {
      if (language === 'sh' && notRun !== undefined)
        await t.notThrowsAsync(run('bash', ['-n', '-c', text]), `${page}, line ${line}`)
      if (language === 'json') t.notThrows(() => JSON.parse(text), `${page}, line ${line}`)
      if (language === 'yaml') t.notThrows(() => documents(text), `${page}, line ${line}`)
    }
})

test('configurations and kustomizations are valid', async t => {
  const kustomized = []
  for (const page of HOWTOS) {
    const files = new Map(readPage(page).map(block => [fileNameOf(block), block.text]))
    const config = files.get('config.yaml')
    if (config !== undefined) t.notThrows(() => parseConfigText(config), page)
    const kustomization = files.get('kustomization.yaml')
    if (kustomization === undefined) continue
    const folder = mkdtempSync(join(tmpdir(), 'ng-howto-'))
    t.teardown(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}))
    symlinkSync(ROOT, join(folder, 'netgraft'))
    for (const [name, text] of files) if (name !== undefined) writeFileSync(join(folder, name), text)
    const {stdout} = await run('kubectl', ['kustomize', folder])
    const daemonSet = only(documents(stdout), 'DaemonSet')
    t.is(daemonSet.spec.template.spec.nodeSelector['meta-plugin'], 'netgraft')
    t.true(daemonSet.spec.template.spec.initContainers[0].args.includes('--keep-default'))
    const {spec} = parse(readFileSync(join(folder, 'not-there.yaml'), 'utf8'))
    t.truthy(spec.template.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution)
    kustomized.push(page)
  }
  t.deepEqual(kustomized, ['docs/howto/migrate-from-multus.md'])
})
