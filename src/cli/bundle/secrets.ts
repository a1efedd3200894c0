/** What must not get into a support bundle, and how it is kept out of every text: by value, and by what secrets look like. */
import {readFile} from 'node:fs/promises'
import {dirname, resolve} from 'node:path'
import {parse} from 'yaml'
import {HIDDEN} from '../../agent/admin-config.ts'
import type {Config} from '../../model/config.ts'

/** Characters. Hiding each "a" would hide everything. */
const SHORTEST = 4
/** Where the kubelet puts a service account's token. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount/token'
/** Users' fields in a kubeconfig that are secret themselves, and those that name a file with one. */
const SECRET_FIELDS = ['token', 'password', 'client-key-data']
const FILE_FIELDS = ['tokenFile', 'client-key']

/** The secrets that the agent has, as far as they can be read. Never rejects. */
export async function knownSecrets({store, kubernetes}: Config, env: NodeJS.ProcessEnv): Promise<readonly string[]> {
  const kubeconfig = kubernetes.kubeconfig ?? env.KUBECONFIG
  const texts = await Promise.all([
    store.password ?? '',
    textOf(store.passwordFile),
    textOf(store.tls.key),
    textOf(SERVICE_ACCOUNT),
    ...(kubeconfig ? await inKubeconfig(kubeconfig) : []),
  ])
  return [...new Set(texts.map(text => text.trim()).filter(text => text.length >= SHORTEST))]
}

const textOf = (path: string | undefined): Promise<string> =>
  path === undefined ? Promise.resolve('') : readFile(path, 'utf8').catch(() => '')

async function inKubeconfig(path: string): Promise<string[]> {
  try {
    const {users} = parse(await readFile(path, 'utf8')) as {users?: {user?: Record<string, unknown>}[]}
    const fields = (users ?? []).flatMap(({user}) => Object.entries(user ?? {}))
    const isText = (entry: [string, unknown]): entry is [string, string] => typeof entry[1] === 'string'
    const said = fields.filter(isText)
    const files = said.filter(([name]) => FILE_FIELDS.includes(name)).map(([, file]) => resolve(dirname(path), file))
    return [
      ...said.filter(([name]) => SECRET_FIELDS.includes(name)).map(([, value]) => value),
      ...(await Promise.all(files.map(textOf))),
    ]
  } catch {
    return []
  }
}

/** What secrets look like, wherever they come from. */
const LOOKS: readonly (readonly [RegExp, string])[] = [
  // Also as one line of JSON.
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)/gs, HIDDEN],
  // JSON web tokens, as service accounts have them.
  [/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, HIDDEN],
  [/\b(Bearer|Basic) [\w.~+/=-]{8,}/g, `$1 ${HIDDEN}`],
  // Of URLs.
  [/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/"'@:]*:[^\s/"'@]+@/gi, `$1${HIDDEN}@`],
]

/** Every text of the bundle goes through it. */
export function hideIn(text: string, secrets: readonly string[]): string {
  let hidden = text
  for (const secret of secrets) {
    // As it stands, and as it stands in a JSON text.
    for (const form of [secret, JSON.stringify(secret).slice(1, -1)]) hidden = hidden.replaceAll(form, HIDDEN)
  }
  for (const [look, instead] of LOOKS) hidden = hidden.replace(look, instead)
  return hidden
}

/** Keys of other people's configurations whose values are nobody's business. */
const SECRET_KEY = /pass(word|phrase|wd)?$|secret|token|credential|private.?key|api.?key/i

/** A value without what its keys say is secret. */
export function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, SECRET_KEY.test(key) ? HIDDEN : withoutSecrets(each)]),
  )
}
