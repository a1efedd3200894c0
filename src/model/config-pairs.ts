/** What the configuration says of pairs of pods. */
import * as v from 'valibot'
import {key, wholeNumber} from './config-keys.ts'
import {nodeAddress, requiredNamespace} from './config-nodes.ts'
import {describeValue} from './config-problems.ts'

const grant = v.object({
  from: key(requiredNamespace, 'default', 'The namespace of the pods that declare the pair.', {
    form: "a namespace's name",
  }),
  to: key(requiredNamespace, 'default', 'The namespace of the pods that they may name.', {form: "a namespace's name"}),
})

/** IFNAMSIZ less the final zero, linux/if.h. Empty: undefined. */
const interfaceName = v.pipe(
  v.string(),
  v.check(
    text => text === '' || (text.length <= 15 && /^[^\s/:%]+$/.test(text)),
    ({input}) => `${describeValue(input)} cannot be the name of an interface; write it as "ip link" shows it`,
  ),
  v.transform(text => (text === '' ? undefined : text)),
)

/** 24 bits. RFC 7348, section 5. */
const vni = wholeNumber(1, 2 ** 24 - 1)

const range = v.nullish(
  v.pipe(
    v.object({
      from: key(vni, 1, 'The first network identifier that tunnels of pairs may have. The same on all nodes.'),
      to: key(vni, 2 ** 24 - 1, 'The last one.'),
    }),
    v.check(
      ({from, to}) => from <= to,
      ({input}) => `ends at ${input.to}, before it begins at ${input.from}; swap the two`,
    ),
  ),
  {},
)

export const pairs = v.nullish(
  v.object({
    enabled: key(
      v.boolean(),
      true,
      'Whether pods are paired, as their annotation `netgraft.dev/pairs` or labels of ratchet say. Needs the definitions of `deploy/crds`, or an etcd.',
    ),
    port: key(
      wholeNumber(1, 65535),
      8473,
      'The UDP port of the tunnels between pods of two nodes: the same on all nodes, and that of no other tunnels.',
    ),
    vnis: range,
    isolation: key(
      v.boolean(),
      true,
      'Whether a pair of two namespaces is built only if both pods declare it, or `grants` allows it.',
    ),
    grants: v.nullish(
      v.pipe(v.array(grant), v.description('Which pods may name those of another namespace that do not name them.')),
      [],
    ),
    parent: v.nullish(
      v.object({
        interface: key(
          interfaceName,
          '',
          "The interface whose addresses and MTU the tunnels have. Empty: that with the node's address.",
          {form: "an interface's name"},
        ),
        address: key(nodeAddress, '', "The node's address of the tunnels. Empty: of the interface, or of the node.", {
          form: 'an IP address',
        }),
      }),
      {},
    ),
    aliveSeconds: key(
      wholeNumber(5, 3600),
      30,
      'How long a node whose agent shows no sign of life is still taken for alive. The same on all nodes.',
      {unit: 'seconds'},
    ),
    requiredSeconds: key(
      wholeNumber(1, 100),
      30,
      'How long the start of a pod with `netgraft.dev/pairs-required: "true"` waits for its pairs, before the runtime has to try again.',
      {unit: 'seconds'},
    ),
  }),
  {},
)
