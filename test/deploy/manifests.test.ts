/** The manifests: by the Kubernetes schemas, by what they say of each other, and applied and deleted by kubectl. */
import {execFile} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import test, {type ExecutionContext} from 'ava'
import {parseConfigText} from '../../src/agent/config.ts'
import {startApiServer} from '../../src/lab/apiserver/server.ts'
import type {Config} from '../../src/model/config.ts'
import {containerOf, documents, type Manifest, OVERLAYS, only, podSpec, ROOT, render} from './support/manifests.ts'
import {problemsOf, unstructured} from './support/schemas.ts'

const FOLDERS = [...OVERLAYS.map(name => `overlays/${name}`), 'uninstall']
const configOf = (manifests: readonly Manifest[]): Config =>
  parseConfigText(only(manifests, 'ConfigMap').data['config.yaml'])

test('every manifest is what the Kubernetes schemas ask for, and has no other keys', async t => {
  const monitor = documents(readFileSync(join(ROOT, 'deploy/components/pod-monitor/pod-monitor.yaml'), 'utf8'))
  for (const manifest of [...FOLDERS.flatMap(render), ...monitor])
    t.deepEqual(await problemsOf(manifest), [], `${manifest.kind} ${manifest.metadata.name}`)
})

test('a mistake would be found', async t => {
  const daemonSet = () => structuredClone(only(render('overlays/default-cni'), 'DaemonSet'))
  const cases: readonly [(pod: Record<string, unknown>) => void, RegExp][] = [
    [pod => Object.assign(pod, {hostNetwrok: true}), /spec\.template\.spec\.hostNetwrok: there is no such key/],
    [pod => Object.assign(pod, {hostNetwork: 'yes'}), /hostNetwork must be boolean/],
    [pod => delete pod.containers, /must have required property containers/],
    [pod => Object.assign(pod, {dnsPolicy: 'Never'}), /dnsPolicy must be equal to one of the allowed values/],
  ]
  for (const [spoil, problem] of cases) {
    const manifest = daemonSet()
    spoil(manifest.spec.template.spec)
    t.regex((await problemsOf(manifest)).join('; '), problem)
  }
})

test('the schemas of the definitions are structural, and printed columns lead somewhere', t => {
  for (const manifest of render('crds')) {
    const {names, group, versions} = manifest.spec
    t.is(manifest.metadata.name, `${names.plural}.${group}`)
    t.is(versions.filter((version: {storage: boolean}) => version.storage).length, 1)
    for (const {schema, additionalPrinterColumns = []} of versions) {
      t.deepEqual(unstructured(schema.openAPIV3Schema, names.kind), [])
      for (const {jsonPath} of additionalPrinterColumns) t.true(leads(schema.openAPIV3Schema, jsonPath), jsonPath)
    }
  }
})

/** ".spec.ends[0].pod" */
function leads(schema: Record<string, unknown>, path: string): boolean {
  if (path.startsWith('.metadata.')) return true
  let at: Record<string, unknown> | undefined = schema
  for (const [, name, index] of path.matchAll(/\.(\w+)(\[\d+\])?/g)) {
    at = (at?.properties as Record<string, Record<string, unknown>> | undefined)?.[name!]
    if (index !== undefined) at = at?.items as Record<string, unknown> | undefined
  }
  return at !== undefined
}

for (const overlay of OVERLAYS)
  test(`${overlay}: its parts fit together`, t => {
    const manifests = render(`overlays/${overlay}`)
    const pod = podSpec(manifests)
    const daemonSet = only(manifests, 'DaemonSet')
    const names = (kind: string) => manifests.filter(each => each.kind === kind).map(({metadata}) => metadata.name)
    const config = configOf(manifests)

    t.like(daemonSet.spec.template.metadata.labels, daemonSet.spec.selector.matchLabels)
    for (const {kind, metadata} of manifests) {
      const clusterWide = ['CustomResourceDefinition', 'ClusterRole', 'ClusterRoleBinding'].includes(kind)
      t.is(metadata.namespace, clusterWide ? undefined : 'kube-system', `${kind} ${metadata.name}`)
      t.is(metadata.labels?.['app.kubernetes.io/part-of'], 'netgraft', metadata.name)
    }
    const mounted = [...pod.initContainers, ...pod.containers].flatMap(({volumeMounts = []}) => volumeMounts)
    t.deepEqual([...new Set(mounted.map(({name}) => name))].sort(), pod.volumes.map(({name}) => name).sort())
    for (const {configMap} of pod.volumes) if (configMap) t.true(names('ConfigMap').includes(configMap.name))
    t.deepEqual([daemonSet.spec.template.spec.serviceAccountName], names('ServiceAccount'))
    for (const {kind, roleRef, subjects} of manifests.filter(each => each.kind.endsWith('Binding'))) {
      t.is(kind, `${roleRef.kind}Binding`)
      t.true(names(roleRef.kind).includes(roleRef.name))
      t.deepEqual(subjects, [{kind: 'ServiceAccount', name: 'netgraft', namespace: 'kube-system'}])
    }

    const agent = containerOf(pod, 'agent') as unknown as Record<string, {containerPort: number; name: string}[]>
    t.deepEqual(agent.ports, [{containerPort: config.metrics.listen!.port, name: 'metrics'}])
    const paths = mounted.map(({mountPath}) => mountPath)
    for (const path of [config.folders.state, config.folders.run, config.attachments.definitionsFolder])
      t.true(paths.includes(path), path)
    for (const socket of [...config.attachments.criSockets, config.attachments.podResources])
      t.true(paths.includes(socket.slice(0, socket.lastIndexOf('/'))), socket)
    if (config.store.type === 'kubernetes') {
      t.deepEqual(names('Role'), ['netgraft-store'])
      t.is(config.store.namespace as string | undefined, only(manifests, 'Role').metadata.namespace)
    } else {
      const {ca, cert, key} = config.store.tls ?? {}
      for (const file of [ca, cert, key]) t.true(paths.includes(`${file}`.replace(/\/[^/]+$/, '')), `${file}`)
      t.deepEqual([names('Role'), names('ClusterRole')], [[], ['netgraft']])
    }
  })

test('the overlays differ in what they say', t => {
  const configs = OVERLAYS.map(overlay => configOf(render(`overlays/${overlay}`)))
  t.deepEqual(
    configs.map(({store, networks}) => [store.type, networks[0]!.pods.masquerade]),
    [
      ['kubernetes', true],
      ['kubernetes', false],
      ['etcd', true],
    ],
  )
  const keeps = OVERLAYS.map(overlay =>
    containerOf(podSpec(render(`overlays/${overlay}`)), 'install').args!.includes('--keep-default'),
  )
  t.deepEqual(keeps, [false, true, false])
})

/** Kinds that the embedded API server does not have by itself, as it can be taught them. */
const FURTHER = [
  ['apps', 'DaemonSet', 'daemonsets', true],
  ['rbac.authorization.k8s.io', 'Role', 'roles', true],
  ['rbac.authorization.k8s.io', 'RoleBinding', 'rolebindings', true],
  ['rbac.authorization.k8s.io', 'ClusterRole', 'clusterroles', false],
  ['rbac.authorization.k8s.io', 'ClusterRoleBinding', 'clusterrolebindings', false],
] as const

async function cluster(t: ExecutionContext) {
  const server = await startApiServer()
  t.teardown(() => server.close())
  for (const [group, kind, plural, namespaced] of FURTHER)
    server.create({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: {name: `${plural}.${group}`},
      spec: {
        group,
        scope: namespaced ? 'Namespaced' : 'Cluster',
        names: {kind, plural, singular: kind.toLowerCase()},
        versions: [{name: 'v1', served: true, storage: true, schema: {openAPIV3Schema: {type: 'object'}}}],
      },
    })
  const folder = mkdtempSync(join(tmpdir(), 'ng-deploy-'))
  t.teardown(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}))
  writeFileSync(join(folder, 'kubeconfig'), server.kubeconfig())
  const kubectl = async (...args: string[]) => {
    const env = {PATH: process.env.PATH, HOME: folder, KUBECONFIG: join(folder, 'kubeconfig')}
    const {stdout} = await promisify(execFile)('kubectl', args, {env, cwd: ROOT})
    return stdout.trim().split('\n')
  }
  const kinds = ['configmaps', 'serviceaccounts', 'crds', ...FURTHER.map(([group, , plural]) => `${plural}.${group}`)]
  const all = () => kinds.flatMap(kind => server.list(kind).map(({metadata}) => `${kind} ${metadata.name}`)).sort()
  return {kubectl, all}
}

for (const overlay of OVERLAYS)
  test.serial(`${overlay}: one command installs, one removes`, async t => {
    const {kubectl, all} = await cluster(t)
    const before = all()
    const folder = join('deploy', 'overlays', overlay)
    const count = render(`overlays/${overlay}`).length
    const applied = await kubectl('apply', '-k', folder)
    t.is(applied.filter(line => line.endsWith(' created')).length, count, applied.join('\n'))
    const again = await kubectl('apply', '-k', folder)
    t.is(again.filter(line => line.endsWith(' unchanged')).length, count, again.join('\n'))
    t.is(all().length, before.length + count)
    const deleted = await kubectl('delete', '-k', folder, '--wait=false')
    t.is(deleted.filter(line => line.includes('" deleted')).length, count, deleted.join('\n'))
    t.deepEqual(all(), before)
  })

test.serial('what users have written stays when they want it to', async t => {
  const {kubectl, all} = await cluster(t)
  const before = all()
  await kubectl('apply', '-k', 'deploy/overlays/default-cni')
  await kubectl('delete', '-k', 'deploy/overlays/default-cni', '-l', 'netgraft.dev/keep!=true', '--wait=false')
  t.deepEqual(
    all().filter(each => !before.includes(each)),
    ['crds network-attachment-definitions.k8s.cni.cncf.io', 'crds networks.kaloom.com'],
  )
})
