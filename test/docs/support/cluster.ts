/**
 * A lab as the pages' reader has a cluster: kubectl on the path, pods that can be looked into, the agents as pods of
 * kube-system. `kubectl exec` is the one verb that kubectl is not asked for: pods of the lab have no containers, so the
 * command runs in the pod's network namespace, or beside the agent.
 */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {chmodSync, mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import {type Lab, startLab} from '../../../src/lab/lab.ts'
import {NODE_FLAGS} from '../../../src/lab/node-flags.ts'
import {BUNDLE} from '../../agent/support/node.ts'

/** Of what a block may take. */
const PATIENCE = 90_000

export interface Ran {
  readonly status: number | null
  readonly output: string
}

export class Cluster {
  readonly lab: Lab
  /** Where blocks run. */
  readonly folder: string
  readonly #env: NodeJS.ProcessEnv

  static async start(t: ExecutionContext, nodes = 2): Promise<Cluster> {
    const end = new AbortController()
    const lab = await startLab({nodes, podsPerNode: 0, family: 'dual', signal: end.signal})
    t.teardown(() => lab.stop())
    await lab.ready(PATIENCE)
    const cluster = new Cluster(lab)
    await cluster.#showAgents()
    return cluster
  }

  private constructor(lab: Lab) {
    this.lab = lab
    this.folder = join(lab.folder, 'reader')
    const bin = join(this.folder, '.bin')
    mkdirSync(bin, {recursive: true})
    writeFileSync(join(bin, 'kubectl'), this.#kubectl())
    chmodSync(join(bin, 'kubectl'), 0o755)
    const {LANG: _, ...env} = process.env
    this.#env = {...env, PATH: `${bin}:${process.env.PATH}`, HOME: this.folder, KUBECONFIG: lab.kubeconfig}
  }

  /** Both outputs together. */
  async run(script: string, {input}: {readonly input?: string} = {}): Promise<Ran> {
    const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {cwd: this.folder, env: this.#env, stdio: 'pipe'})
    const late = setTimeout(() => child.kill('SIGKILL'), PATIENCE)
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', text => {
        output += text
      })
    // It may end without having read.
    child.stdin.on('error', () => {}).end(input ?? '')
    const [status] = await once(child, 'close')
    clearTimeout(late)
    return {status, output}
  }

  /** For one that must succeed. */
  async mustRun(script: string, input?: string): Promise<string> {
    const {status, output} = await this.run(script, input === undefined ? {} : {input})
    if (status !== 0) throw new Error(`${script}\nended with ${status}:\n${output}`)
    return output
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text)
  }

  /** Whatever a reader may have made and ought to have removed: "pod/app1". */
  async leftovers(): Promise<string[]> {
    const kinds = 'pods,network-attachment-definitions,networks.kaloom.com,pairs,pairpods,vnis'
    const output = await this.mustRun(`kubectl get ${kinds} --all-namespaces -o name`)
    return output.split('\n').filter(name => name !== '' && !name.startsWith('pod/netgraft-'))
  }

  #kubectl(): string {
    const {id, folder} = this.lab
    return `#!/bin/sh
real=$(PATH=\${PATH#*:} command -v kubectl)
[ "$1" = -n ] && [ "$3" = exec ] && shift 2
[ "$1" = exec ] || exec "$real" "$@"
pod=\${2#pod/}; shift 2
[ "$1" = -- ] && shift
case $pod in
  netgraft-*)
    shift
    exec ip netns exec "ng-${id}-\${pod#netgraft-}" ${process.execPath} ${NODE_FLAGS.join(' ')} ${BUNDLE} "$@" \\
      --config "${folder}/\${pod#netgraft-}.yaml" ;;
  *) exec ip netns exec "ng-${id}-$pod" "$@" ;;
esac
`
  }

  async #showAgents(): Promise<void> {
    const pods = this.lab.nodes.map(({name}) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: `netgraft-${name}`,
        namespace: 'kube-system',
        labels: {'app.kubernetes.io/name': 'netgraft'},
      },
      spec: {nodeName: name, hostNetwork: true, containers: [{name: 'agent', image: 'none'}]},
    }))
    await this.mustRun('kubectl apply -f -', JSON.stringify({apiVersion: 'v1', kind: 'List', items: pods}))
  }
}
