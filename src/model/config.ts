/** The agent's configuration: its schema, from which the types and docs/config.md follow, and the check of a whole value. */
import * as v from 'valibot'
import {absolutePath, choice, key, section, wholeNumber} from './config-keys.ts'
import {listenAddress} from './config-listen.ts'
import {networks, usesTunnels} from './config-network.ts'
import {cidrList, definitionNames, isNodeName, namespaceList, notNodeName, requiredNamespace} from './config-nodes.ts'
import {pairs} from './config-pairs.ts'
import {type Locate, Problems} from './config-problems.ts'
import {type Row, rowsOf} from './config-reference.ts'
import {store} from './config-store.ts'
import type {NodeName} from './facts.ts'
import type {Cidr, Ip} from './ip.ts'
import {LOG_LEVELS} from './logger.ts'

export type Config = DeepReadonly<v.InferOutput<typeof keys>>

type DeepReadonly<T> = T extends string | number | boolean | undefined | Ip | Cidr | ReadonlyMap<string, readonly Ip[]>
  ? T
  : T extends readonly (infer Item)[]
    ? readonly DeepReadonly<Item>[]
    : {readonly [K in keyof T]: DeepReadonly<T[K]>}

const nodeName = v.pipe(
  v.string(),
  v.check(
    text => text === '' || isNodeName(text),
    issue => notNodeName(issue.input),
  ),
  v.transform(text => (text === '' ? undefined : (text as NodeName))),
)

const grant = v.object({
  from: key(requiredNamespace, 'default', 'The namespace of the definitions.', {form: "a namespace's name"}),
  names: key(definitionNames, [], 'Their names. Empty: all of that namespace.', {form: 'a list of names'}),
  to: key(namespaceList, [], 'The namespaces whose pods may use them. Empty: all.', {form: 'a list of namespaces'}),
})

const keys = v.object({
  node: key(
    nodeName,
    '',
    "The name of this node's Node object. Empty: `NODE_NAME` of the environment; without that, the node that reports this machine's machine-id.",
    {form: "a node's name"},
  ),
  kubernetes: section({
    kubeconfig: key(
      v.pipe(
        v.string(),
        v.transform(text => (text === '' ? undefined : text)),
      ),
      '',
      'The kubeconfig file to use. Empty: the service account of the pod the agent runs in; outside a pod, the file that `KUBECONFIG` of the environment names.',
      {form: 'a path'},
    ),
  }),
  clusterCIDRs: key(
    cidrList,
    [],
    'The ranges that all nodes have their pod ranges from. What goes there is never masqueraded, also while a node is unknown. Never guessed.',
    {form: 'a list of prefixes'},
  ),
  serviceCIDRs: key(
    cidrList,
    [],
    "The ranges of the cluster's services. A pod whose default route leads through another network still reaches these, and `clusterCIDRs`, through its first interface. Never guessed.",
    {form: 'a list of prefixes'},
  ),
  store,
  networks,
  folders: section({
    state: key(
      absolutePath,
      '/var/lib/netgraft',
      'Where the agent keeps what must outlive it: the last known nodes, so that a node which boots without its API server has its routes. Made if it is not there.',
      {form: 'an absolute path'},
    ),
    run: key(
      absolutePath,
      '/run/netgraft',
      "Where the agent's sockets are: `cni.sock`, which the CNI plugin on the host asks, and `admin.sock`, which the command line asks. Made if it is not there, for root alone.",
      {form: 'an absolute path'},
    ),
  }),
  cni: section({
    deadlineSeconds: key(
      wholeNumber(5, 110),
      60,
      'How long a CNI request may take before it is given up and undone. Less than the runtime waits (the kubelet: 120).',
      {unit: 'seconds'},
    ),
    concurrency: key(
      wholeNumber(1, 256),
      32,
      'How many CNI requests are worked on at once. Further ones wait; those of one container always wait for each other.',
    ),
  }),
  attachments: section({
    enabled: key(
      v.boolean(),
      true,
      'Whether pods get the further networks that their annotations name. Needs `list` and `watch` of pods and of network definitions.',
    ),
    namespaces: key(
      namespaceList,
      [],
      'The namespaces whose network definitions are watched. Empty: all. Definitions of other namespaces do not exist for this node.',
      {form: 'a list of namespaces'},
    ),
    isolation: key(
      v.boolean(),
      true,
      'Whether a pod may use only definitions of its own namespace and those that `grants` names.',
    ),
    grants: v.nullish(
      v.pipe(v.array(grant), v.description('Definitions that pods of other namespaces may use, too.')),
      [],
    ),
    criSockets: key(
      v.array(absolutePath),
      ['/run/containerd/containerd.sock', '/run/crio/crio.sock'],
      "Where the container runtime is asked for a running pod's namespace that the journal does not know. The first one that is there is used.",
      {form: 'a list of absolute paths'},
    ),
    podResources: key(
      absolutePath,
      '/var/lib/kubelet/pod-resources/kubelet.sock',
      'Where the kubelet is asked which devices a pod has been given.',
      {form: 'an absolute path'},
    ),
    definitionsFolder: key(
      absolutePath,
      '/etc/cni/net.d',
      'Where the config of a definition without one is looked for, in the file that has its name.',
      {form: 'an absolute path'},
    ),
  }),
  pairs,
  kernel: section({
    resyncSeconds: key(
      wholeNumber(10, 86400),
      300,
      "How often what is known of the kernel's routes is read anew, in case a change was never announced.",
      {unit: 'seconds'},
    ),
  }),
  metrics: section({
    listen: key(listenAddress, ':9464', 'Where `/metrics`, `/healthz` and `/readyz` are served. Empty: nowhere.', {
      form: '`:port`, `address:port` or `[IPv6 address]:port`',
    }),
  }),
  log: section({
    level: key(choice(LOG_LEVELS), 'info', 'The least important lines that are still written.'),
  }),
})

/** The kernel refuses a second device of one network identifier and port. */
const schema = v.pipe(
  keys,
  v.rawCheck(({dataset, addIssue}) => {
    if (!dataset.typed) return
    const {networks, pairs} = dataset.value
    const rival = networks.find(each => usesTunnels(each) && each.vxlan.port === pairs.port)
    if (!pairs.enabled || !rival) return
    const input = dataset.value
    addIssue({
      message: `${pairs.port} is the port of the tunnels of network ${rival.name}, too; choose another one`,
      path: [
        {type: 'object', origin: 'value', input, key: 'pairs', value: pairs},
        {type: 'object', origin: 'value', input: pairs, key: 'port', value: pairs.port},
      ],
    })
  }),
)

/** Every key, in the schema's order. */
export const reference = (): readonly Row[] => rowsOf(keys)

/** Checks a whole value as read from YAML. Throws {@link ConfigError} with every problem it has. */
export function parseConfig(value: unknown, locate: Locate = () => undefined): Config {
  const input = value ?? {}
  const problems = new Problems(keys, locate)
  problems.findStrays(input)
  const result = v.safeParse(schema, input)
  for (const issue of result.issues ?? []) problems.addIssue(issue)
  problems.throwIfAny()
  return result.output as Config
}
