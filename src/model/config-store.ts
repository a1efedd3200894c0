/** What the configuration says of the store that all nodes share. */
import * as v from 'valibot'
import {choice, key, optionalPath} from './config-keys.ts'
import {requiredNamespace} from './config-nodes.ts'
import {describeValue} from './config-problems.ts'

const ETCD_PORT = 2379

/** "https://etcd.example:2379": the scheme says whether TLS is spoken, the port may be left away. */
const endpoint = v.pipe(
  v.string(),
  v.rawTransform(({dataset, addIssue, NEVER}): string => {
    const url = URL.parse(dataset.value)
    const plain = url && url.pathname.length <= 1 && !url.search && !url.hash && !url.username && !url.password
    const scheme = /^(https?):\/\/[^/]/.exec(dataset.value)?.[1]
    if (plain && scheme) return `${scheme}://${url.hostname}:${portOf(dataset.value)}`
    addIssue({message: `${describeValue(dataset.value)} is no address of etcd; write it as https://etcd.example:2379`})
    return NEVER
  }),
)

/** Not as URL has it, which drops the scheme's own. */
const portOf = (text: string): number => Number(/:(\d+)\/?$/.exec(text)?.[1] ?? ETCD_PORT)

const prefix = v.pipe(
  v.string(),
  v.check(
    text => text.length <= 200 && /^(\/[\w.-]+)+$/.test(text),
    ({input}) =>
      `${describeValue(input)} cannot begin keys; write it as /netgraft, of letters, digits, slashes, dots and hyphens`,
  ),
)

const optionalText = v.pipe(
  v.string(),
  v.transform(text => (text === '' ? undefined : text)),
)

const PATH = {form: 'an absolute path'}

const entries = {
  type: key(
    choice(['kubernetes', 'etcd']),
    'kubernetes',
    'Where pairs of pods are kept. `kubernetes`: as objects of `netgraft.dev`, whose definitions are in `deploy/crds`. `etcd`: in an etcd of its own. The same on all nodes.',
  ),
  endpoints: key(v.array(endpoint), [], 'Where etcd is: its members, all with TLS (`https:`) or none.', {
    form: 'a list of `http://host:port` or `https://host:port`',
  }),
  tls: v.nullish(
    v.object({
      ca: key(
        optionalPath,
        '',
        "The file (PEM) with the authorities that etcd's certificate may be of. Empty: those that everybody trusts.",
        PATH,
      ),
      cert: key(optionalPath, '', 'The file (PEM) with the certificate that we show to etcd. Empty: none.', PATH),
      key: key(optionalPath, '', 'The file (PEM) with its key.', PATH),
    }),
    {},
  ),
  user: key(optionalText, '', 'The name that we log in to etcd with. Empty: we do not.'),
  password: key(optionalText, '', 'Its password. Better in a file: `passwordFile`.'),
  passwordFile: key(optionalPath, '', 'The file with its password. Read again when etcd does not accept it.', PATH),
  prefix: key(prefix, '/netgraft', 'What all our keys in etcd begin with.', {
    form: 'a path, without a slash at its end',
  }),
  namespace: key(
    requiredNamespace,
    'kube-system',
    "With `kubernetes`: the namespace of the Lease objects that show which nodes' agents are alive.",
    {form: "a namespace's name"},
  ),
}

type Values = v.InferOutput<v.ObjectSchema<typeof entries, undefined>>

/** What is wrong with keys that are right by themselves: where, and what. */
function* contradictions({type, endpoints, tls, user, password, passwordFile}: Values): Generator<[string[], string]> {
  if (type === 'kubernetes') {
    if (endpoints.length > 0)
      yield [['endpoints'], 'are of etcd, which is not used; set store.type to etcd, or remove them']
    return
  }
  if (endpoints.length === 0) yield [['endpoints'], 'is empty, so that etcd cannot be found; name its members']
  const secure = endpoints.filter(text => text.startsWith('https:')).length
  if (secure > 0 && secure < endpoints.length)
    yield [['endpoints'], 'has members with TLS and without; write https: for all of them']
  if (secure === 0 && endpoints.length > 0 && (tls.ca ?? tls.cert ?? tls.key) !== undefined)
    yield [['tls'], 'is not used, since no endpoint begins with https:; change that, or remove it']
  if (tls.cert === undefined && tls.key !== undefined)
    yield [['tls', 'cert'], 'is empty, though there is a key; name both']
  if (tls.key === undefined && tls.cert !== undefined)
    yield [['tls', 'key'], 'is empty, though there is a certificate; name both']
  if (password !== undefined && passwordFile !== undefined)
    yield [['passwordFile'], 'is there beside a password; keep one of them']
  const secret = password ?? passwordFile
  if (user !== undefined && secret === undefined)
    yield [['passwordFile'], 'is empty, though there is a user; name the file with its password']
  if (user === undefined && secret !== undefined)
    yield [['user'], 'is empty, though there is a password; say whose it is']
}

export const store = v.nullish(
  v.pipe(
    v.object(entries),
    v.rawCheck(({dataset, addIssue}) => {
      if (!dataset.typed) return
      for (const [path, message] of contradictions(dataset.value)) {
        let input: unknown = dataset.value
        const steps = path.map(key => {
          const value = (input as Record<string, unknown>)[key]
          const step = {type: 'object', origin: 'value', input: input as Record<string, unknown>, key, value} as const
          input = value
          return step
        })
        addIssue({message, path: steps as [(typeof steps)[0], ...typeof steps]})
      }
    }),
  ),
  {},
)
