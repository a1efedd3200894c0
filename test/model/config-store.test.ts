import test from 'ava'
import {parseConfig} from '../../src/model/config.ts'
import {ConfigError} from '../../src/model/config-problems.ts'

/** What is wrong, one problem a line. */
function problems(store: object): string {
  try {
    parseConfig({store})
    return ''
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(({path, message}) => `${path}: ${message}`).join('\n')
  }
}

const etcd = (more: object = {}) => ({type: 'etcd', endpoints: ['https://e:1'], ...more})

test('what is set is kept', t => {
  const {store} = parseConfig({
    store: {
      type: 'etcd',
      endpoints: ['https://etcd-1.example', 'https://192.0.2.1:443/', 'https://[2001:db8::1]:12379'],
      tls: {ca: '/ca.pem', cert: '/cert.pem', key: '/key.pem'},
      user: 'netgraft',
      passwordFile: '/password',
      prefix: '/a/b',
      namespace: 'netgraft',
    },
  })
  t.deepEqual(store, {
    type: 'etcd',
    endpoints: ['https://etcd-1.example:2379', 'https://192.0.2.1:443', 'https://[2001:db8::1]:12379'],
    tls: {ca: '/ca.pem', cert: '/cert.pem', key: '/key.pem'},
    user: 'netgraft',
    password: undefined,
    passwordFile: '/password',
    prefix: '/a/b',
    namespace: 'netgraft',
  })
})

const NO_ADDRESS = 'is no address of etcd; write it as https://etcd.example:2379'
const NO_PREFIX = 'cannot begin keys; write it as /netgraft, of letters, digits, slashes, dots and hyphens'

for (const [store, want] of [
  [{type: 'etcd'}, 'store.endpoints: is empty, so that etcd cannot be found; name its members'],
  [{type: 'etcd', endpoints: []}, 'store.endpoints: is empty, so that etcd cannot be found; name its members'],
  [{type: 'etdc'}, 'store.type: "etdc" is not one of kubernetes, etcd; did you mean etcd?'],
  [
    {endpoints: ['http://e:1']},
    'store.endpoints: are of etcd, which is not used; set store.type to etcd, or remove them',
  ],
  [
    etcd({endpoints: ['http://e:1', 'https://f:1']}),
    'store.endpoints: has members with TLS and without; write https: for all of them',
  ],
  ...[
    ...['e', 'e:2379', 'ftp://e:1', 'http://', 'http:e', 'http://e:1/x', 'http://u:p@e:1'],
    ...['http://e:99999', 'http://e:1?a', 'unix:/x'],
  ].map(text => [etcd({endpoints: [text]}), `store.endpoints[0]: ${JSON.stringify(text)} ${NO_ADDRESS}`] as const),
  [
    etcd({endpoints: ['http://e:1'], tls: {ca: '/a'}}),
    'store.tls: is not used, since no endpoint begins with https:; change that, or remove it',
  ],
  [etcd({tls: {cert: '/c'}}), 'store.tls.key: is empty, though there is a certificate; name both'],
  [etcd({tls: {key: '/c'}}), 'store.tls.cert: is empty, though there is a key; name both'],
  [etcd({tls: {ca: 'ca.pem'}}), 'store.tls.ca: "ca.pem" is not an absolute path; begin it with /'],
  [etcd({tls: {ca: 7}}), 'store.tls.ca: must be text, not 7; put it in quotes'],
  [etcd({user: 'u'}), 'store.passwordFile: is empty, though there is a user; name the file with its password'],
  [etcd({password: 'p'}), 'store.user: is empty, though there is a password; say whose it is'],
  [
    etcd({user: 'u', password: 'p', passwordFile: '/p'}),
    'store.passwordFile: is there beside a password; keep one of them',
  ],
  ...['netgraft', '/', '/a/', '', '/a b', '//a', `/${'x'.repeat(200)}`].map(
    text =>
      [
        etcd({prefix: text}),
        `store.prefix: "${text.length > 60 ? `${text.slice(0, 60)}…` : text}" ${NO_PREFIX}`,
      ] as const,
  ),
  [{namespace: ''}, 'store.namespace: "" cannot be a namespace; write it as "kubectl get namespaces" shows it'],
  [etcd({endpoint: []}), 'store.endpoint: is not a known key; did you mean endpoints?'],
] as const)
  test(`refused: ${JSON.stringify(store).slice(0, 100)}`, t => t.is(problems(store), want))

test('a password is in no sentence', t => {
  t.notRegex(problems(etcd({password: 'secret', passwordFile: 'x'})), /secret/)
})
