/** What scripts/kind puts into its cluster, and the words it has without Docker. The cluster itself needs Docker. */
import {execFileSync, spawnSync} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {parse} from 'yaml'
import {parseConfigText} from '../../src/agent/config.ts'
import {documents, only, ROOT} from '../deploy/support/manifests.ts'
import {problemsOf} from '../deploy/support/schemas.ts'

const E2E = import.meta.dirname
const {version} = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const text = (name: string) => readFileSync(join(E2E, name), 'utf8')
const rendered = () =>
  documents(execFileSync('kubectl', ['kustomize', join(E2E, 'kind', 'netgraft')], {encoding: 'utf8'}))

test('every manifest is what the Kubernetes schemas ask for', async t => {
  const pod = text('pod.yaml').replace('NAME', 'e2e-1').replace('NODE', 'n1')
  for (const manifest of [...rendered(), ...documents(pod)])
    t.deepEqual(await problemsOf(manifest), [], `${manifest.kind} ${manifest.metadata.name}`)
})

test('the network that is attached is a CNI configuration', t => {
  const [definition] = documents(text('network.yaml'))
  t.like(JSON.parse(definition!.spec.config), {type: 'bridge', ipam: {type: 'static'}})
  t.is(definition!.metadata.name, 'e2e-green')
})

test('the configuration names the ranges of the cluster', t => {
  const {networking, nodes} = parse(text('kind/cluster.yaml'))
  const config = parseConfigText(only(rendered(), 'ConfigMap').data['config.yaml'])
  t.is(config.clusterCIDRs.map(String).join(), networking.podSubnet)
  t.is(config.serviceCIDRs.map(String).join(), networking.serviceSubnet)
  t.true(networking.disableDefaultCNI)
  t.deepEqual(
    nodes.map(({role}: {role: string}) => role),
    ['control-plane', 'worker', 'worker'],
  )
})

test('the image that is loaded is the one that the manifests run', t => {
  const script = readFileSync(join(ROOT, 'scripts', 'kind'), 'utf8')
  t.true(script.includes('wanted=netgraft:$version'))
  const {containers, initContainers} = only(rendered(), 'DaemonSet').spec.template.spec
  for (const {image} of [...containers, ...initContainers]) t.is(image, `netgraft:${version}`)
})

/** Runs it with these programs alone beside the usual ones. */
function kind(t: ExecutionContext, programs: Readonly<Record<string, string>>, ...args: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'ng-kind-'))
  t.teardown(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}))
  for (const name of ['sh', 'dirname', 'sed', 'mktemp', 'rm', 'git', 'wc', 'cat', 'sleep']) {
    const path = execFileSync('sh', ['-c', `command -v ${name} || true`], {encoding: 'utf8'}).trim()
    if (path.startsWith('/')) symlinkSync(path, join(folder, name))
  }
  for (const [name, body] of Object.entries(programs))
    writeFileSync(join(folder, name), `#!/bin/sh\necho "${name} $*" >>"${folder}/calls"\n${body}\n`, {mode: 0o755})
  writeFileSync(join(folder, 'calls'), '')
  const {status, stdout, stderr} = spawnSync(join(ROOT, 'scripts', 'kind'), args, {
    env: {PATH: folder, HOME: folder, TMPDIR: folder},
    encoding: 'utf8',
  })
  const calls = readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n')
  return {status, stdout, stderr, calls}
}

test('without its tools, and without a daemon, it says so', t => {
  const bare = kind(t, {})
  t.is(bare.status, 1)
  t.regex(bare.stderr, /^kind: docker is not there: install it \(/)
  t.regex(kind(t, {docker: ''}).stderr, /^kind: kind is not there: install it \(/)
  t.regex(kind(t, {docker: '', kind: ''}).stderr, /^kind: kubectl is not there: install it \(/)
  const mute = kind(t, {docker: 'echo "permission denied" >&2; exit 1', kind: '', kubectl: ''})
  t.is(mute.status, 1)
  t.regex(mute.stderr, /^kind: no Docker daemon answers, or this user may not ask it: permission denied$/m)
  t.is(kind(t, {}, '--what').status, 2)
})

/** A `kind` that makes a file where the kubeconfig is to be, as the real one does. */
const MADE = 'while [ "$#" -gt 1 ]; do [ "$1" != --kubeconfig ] || echo >"$2"; shift; done'

test('whatever fails, the cluster is deleted', t => {
  const {status, stderr, calls} = kind(t, {
    docker: '',
    kind: MADE,
    kubectl: 'case "$*" in apply*) exit 7 ;; esac',
  })
  t.is(status, 7, stderr)
  const [, name] = /--name (\S+)/.exec(calls.find(call => call.startsWith('kind create cluster'))!)!
  t.is(calls.at(-1), `kind delete cluster --name ${name}`)
  t.true(calls.some(call => call.startsWith(`docker build -t netgraft:${version}`)))
  t.true(calls.includes(`kind load docker-image --name ${name} netgraft:${version}`))
  t.true(
    calls.some(call => call.startsWith('kubectl -n kube-system logs')),
    'what went wrong is told first',
  )
})

test('--keep keeps it, and --image takes an image that is there', t => {
  const programs = {docker: '', kind: MADE, kubectl: 'case "$*" in apply*) exit 7 ;; esac'}
  const {status, stdout, calls} = kind(t, programs, '--keep', '--image', 'registry.example/netgraft:2')
  t.is(status, 7)
  t.regex(stdout, /^kind: the cluster stays: export KUBECONFIG=\S+; kind delete cluster --name \S+ ends it$/m)
  t.true(calls.includes(`docker tag registry.example/netgraft:2 netgraft:${version}`))
  t.false(calls.some(call => call.startsWith('docker build') || call.startsWith('kind delete')))
})
