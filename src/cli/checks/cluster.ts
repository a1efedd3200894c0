/** The API server, asked with the agent's own credentials: whether it answers, and what it says of this node. */
import {withEnvironment} from '../../agent/config.ts'
import {KubeClient} from '../../kube/client.ts'
import {Credentials, findCredentials} from '../../kube/credentials.ts'
import type {AdminApi} from '../../model/admin.ts'
import type {Config} from '../../model/config.ts'
import {ConfigError} from '../../model/config-problems.ts'
import {ageOf} from '../text/text.ts'
import {type Check, failed, ok, skipped} from './check.ts'

/** Milliseconds. */
const PATIENCE_MS = 5000

/** `node`, `api`: as the agent says; undefined: it does not answer. */
export async function checkCluster(
  config: Config,
  env: NodeJS.ProcessEnv,
  node: string | undefined,
  api: AdminApi | undefined,
): Promise<Check[]> {
  let credentials: Credentials
  let self = node
  try {
    const full = withEnvironment(config, env)
    self ??= full.node
    credentials = new Credentials(findCredentials(full.kubernetes.kubeconfig ?? '', env))
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return [heardByAgent(api)]
  }
  try {
    const client = new KubeClient(credentials, {timeoutMs: PATIENCE_MS})
    const query = {limit: 1, ...(self !== undefined && {fieldSelector: `metadata.name=${self}`})}
    const list = await client.request('GET', '/api/v1/nodes', {query, signal: AbortSignal.timeout(2 * PATIENCE_MS)})
    const items = (list as {readonly items?: readonly NodeObject[] | null}).items ?? []
    return [
      ok('API server', 'it answers, and lets us list nodes'),
      ...(self === undefined ? [] : [judgeNode(self, items[0])]),
    ]
  } catch (error) {
    const {name, message} = error as Error
    const why = name === 'TimeoutError' ? `it has not answered for ${(2 * PATIENCE_MS) / 1000} s` : message
    return [failed('API server', `${why}; look into the network, the kubeconfig and the rights of the agent`)]
  } finally {
    credentials.close()
  }
}

/** Without credentials of our own. */
function heardByAgent(api: AdminApi | undefined): Check {
  if (!api)
    return skipped(
      'API server',
      'neither the configuration nor the environment says how it is reached; name the kubeconfig in KUBECONFIG',
    )
  const {heardAt, trouble} = api
  if (trouble !== undefined) return failed('API server', `the agent does not reach it: ${trouble}`)
  return heardAt === undefined
    ? failed('API server', 'the agent has not heard of it yet; look into its log')
    : ok('API server', `the agent has heard of it ${ageOf(heardAt, Date.now())} ago`)
}

interface NodeObject {
  readonly spec?: {readonly podCIDRs?: readonly string[]}
  readonly status?: {readonly addresses?: readonly {readonly type?: string}[]}
}

function judgeNode(name: string, object: NodeObject | undefined): Check {
  const title = `node ${name}`
  if (!object)
    return failed(
      title,
      'the API server has no such node; set NODE_NAME, or "node" in the configuration, to the name of its object',
    )
  const ranges = object.spec?.podCIDRs ?? []
  if (ranges.length === 0)
    return failed(
      title,
      'its object has no spec.podCIDRs, and its pods get no addresses; have the controller manager allocate them (--allocate-node-cidrs)',
    )
  const hasAddress = object.status?.addresses?.some(({type}) => type === 'InternalIP')
  return hasAddress
    ? ok(title, `its pods are in ${ranges.join(' ')}`)
    : failed(title, 'its object reports no InternalIP, and other nodes do not reach its pods; look at the kubelet')
}
