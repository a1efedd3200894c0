/**
 * The smoke test that scripts/kind runs in a real cluster, here against the lab: its API server, its agents, kubectl. What
 * takes a kubelet ("kubectl exec") happens in the pod's namespace. Needs root.
 */
import {execFile, execFileSync} from 'node:child_process'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {built} from '../agent/support/node.ts'
import {LabCommand} from '../lab/support-lab.ts'

const E2E = import.meta.dirname

test.before(() => built())

interface Ended {
  readonly status: number
  readonly text: string
}

/** A shell's `kubectl` for the lab's cluster, in a folder of its own. */
function kubectlFor(t: ExecutionContext, kubeconfig: string, id: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'ng-smoke-'))
  t.teardown(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}))
  const real = execFileSync('sh', ['-c', 'command -v kubectl'], {encoding: 'utf8'}).trim()
  const script = `#!/bin/sh
if [ "$1" = exec ]; then
  pod=$2
  [ "$3" = -- ] || exit 2
  shift 3
  exec ip netns exec "ng-${id}-$pod" "$@"
fi
HOME=${folder} KUBECONFIG=${kubeconfig} exec ${real} "$@"
`
  writeFileSync(join(folder, 'kubectl'), script, {mode: 0o755})
  return folder
}

const smoke = (path: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  new Promise(resolve =>
    execFile(join(E2E, 'smoke'), {env: {PATH: `${path}:${process.env.PATH}`, ...env}}, (error, stdout, stderr) =>
      resolve({status: error === null ? 0 : Number(error.code), text: stdout + stderr}),
    ),
  )

async function lab(t: ExecutionContext, ...args: string[]) {
  const command = new LabCommand(t, ['--pods', '0', '--no-attachments', '--no-pairs', ...args])
  const id = await command.id()
  const [, kubeconfig] = await command.prints(/--kubeconfig[= ](\S+)/)
  return {command, id, path: kubectlFor(t, kubeconfig!, id)}
}

async function end({command, id}: {command: LabCommand; id: string}, t: ExecutionContext): Promise<void> {
  command.child.kill('SIGTERM')
  await command.end()
  t.deepEqual(await command.leftOvers(id), [])
}

test('it passes, with three nodes on two subnets', async t => {
  const cluster = await lab(t, '--nodes', '3', '--mixed')
  const {status, text} = await smoke(cluster.path, {FAMILIES: '4 6'})
  t.is(status, 0, text)
  t.regex(text, /^smoke: passed: 3 nodes$/m)

  // A node that nobody has cleaned.
  const words = ['netns', 'exec', `ng-${cluster.id}-n1`, 'sh', join(E2E, 'left-overs')]
  const left = execFileSync('ip', words, {encoding: 'utf8', env: {PATH: '/usr/sbin:/usr/bin:/sbin:/bin'}})
  t.regex(left, /^unreachable 10\.244\.1\.0\/24 .*$/m)
  t.regex(left, /: ng-vx0: .*alias netgraft:/)
  t.regex(left, /^table inet netgraft$/m)
  await end(cluster, t)
})

test('it fails where a family is missing, and says which', async t => {
  const cluster = await lab(t, '--nodes', '2', '--family', '4')
  const {status, text} = await smoke(cluster.path, {FAMILIES: '4 6'})
  t.is(status, 1, text)
  t.regex(text, /^smoke: no pod has an address of IPv6$/m)
  await end(cluster, t)
})

test('it fails with one sentence where something does not come', async t => {
  const cluster = await lab(t, '--nodes', '2')
  writeFileSync(join(cluster.path, 'ping'), '#!/bin/sh\nexit 1\n', {mode: 0o755})
  const {status, text} = await smoke(cluster.path, {PATIENCE: '2'})
  t.is(status, 1, text)
  t.regex(text, /^smoke: in 2 tries this was not seen: e2e-1 reaches e2e-2 at \S+$/m)
  await end(cluster, t)
})
