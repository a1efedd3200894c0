import {execFileSync} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {request} from 'node:http'
import {get as httpsGet} from 'node:https'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test from 'ava'
import {parse} from 'yaml'
import {call, node, PAIRS_CRD, pair, patch, serve, shown} from './apiserver-client.ts'

const NODES = '/api/v1/nodes'
const PAIRS = '/apis/netgraft.dev/v1/namespaces/default/pairs'
const pod = (name: string, namespace = 'default') => ({apiVersion: 'v1', kind: 'Pod', metadata: {name, namespace}})

const refusals: [method: string, path: string, body: unknown, want: string][] = [
  ['GET', `${NODES}/x`, undefined, '404 NotFound: nodes "x" not found'],
  ['GET', `${PAIRS}/x`, undefined, '404 NotFound: pairs.netgraft.dev "x" not found'],
  ['GET', '/api/v1/gadgets', undefined, '404 NotFound: the server could not find the requested resource'],
  ['GET', '/apis/netgraft.dev/v7/pairs', undefined, '404 NotFound: the server could not find the requested resource'],
  ['GET', '/nonsense', undefined, '404 NotFound: the server could not find the requested resource'],
  ['GET', '/api/v1/%zz', undefined, "400 BadRequest: the path /api/v1/%zz is not encoded as a URL's"],
  [
    'GET',
    '/api/v1/namespaces/default/nodes',
    undefined,
    '404 NotFound: the server could not find the requested resource',
  ],
  [
    'GET',
    '/api/v1/namespaces/default/configmaps/c/status',
    undefined,
    '404 NotFound: the server could not find the requested resource',
  ],
  [
    'GET',
    `${NODES}?resourceVersion=0x1`,
    undefined,
    '400 BadRequest: Invalid value: "0x1": strconv.ParseUint: parsing "0x1": invalid syntax',
  ],
  ['GET', `${NODES}?resourceVersion=99999`, undefined, '504 Timeout: Too large resource version: 99999, current: 5'],
  [
    'GET',
    `${NODES}?continue=abc`,
    undefined,
    '400 BadRequest: continue key is not valid: the token was not made by this server',
  ],
  [
    'GET',
    `${NODES}?resourceVersionMatch=Exact`,
    undefined,
    '422 Invalid: ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
  ],
  ['GET', `${NODES}?fieldSelector=spec.x=1`, undefined, '400 BadRequest: field label not supported: spec.x'],
  [
    'POST',
    `${NODES}/a`,
    node('a'),
    '405 MethodNotAllowed: the server does not allow this method on the requested resource',
  ],
  [
    'POST',
    '/api/v1/pods',
    pod('p'),
    '405 MethodNotAllowed: the server does not allow this method on the requested resource',
  ],
  ['POST', NODES, node('a'), '409 AlreadyExists: nodes "a" already exists'],
  [
    'POST',
    NODES,
    '{',
    "400 BadRequest: couldn't read the body as JSON: Expected property name or '}' in JSON at position 1 (line 1 column 2)",
  ],
  ['POST', NODES, [1], '400 BadRequest: cannot read Node: the body must be a JSON object'],
  [
    'POST',
    NODES,
    node('Up'),
    `422 Invalid: Node "Up" is invalid: metadata.name: Invalid value: "Up": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
  ],
  [
    'POST',
    NODES,
    {kind: 'Node', metadata: {}},
    '422 Invalid: Node "" is invalid: metadata.name: Required value: name or generateName is required',
  ],
  ['POST', NODES, pod('p'), '400 BadRequest: Pod in version "v1" cannot be handled as a Node: the kinds differ'],
  [
    'POST',
    NODES,
    {...node('b'), apiVersion: 'v2'},
    '400 BadRequest: the API version in the data (v2) does not match the expected API version (v1)',
  ],
  [
    'POST',
    NODES,
    node('b', {metadata: {name: 'b', labels: {a: 1}}}),
    '400 BadRequest: Node in version "v1" cannot be handled as a Node: metadata.labels: must be an object with strings',
  ],
  ['POST', PAIRS, {metadata: {name: 'p'}}, "400 BadRequest: Object 'Kind' is missing in the body"],
  ['POST', '/api/v1/namespaces/nope/pods', pod('p', 'nope'), '404 NotFound: namespaces "nope" not found'],
  [
    'POST',
    '/api/v1/namespaces/default/pods',
    pod('p', 'other'),
    '400 BadRequest: the namespace of the provided object does not match the namespace sent on the request',
  ],
  ['PUT', `${NODES}/a`, node('b'), '400 BadRequest: the name of the object (b) does not match the name on the URL (a)'],
  ['PUT', `${NODES}/x`, node('x'), '404 NotFound: nodes "x" not found'],
  [
    'PUT',
    `${NODES}/a`,
    node('a', {metadata: {name: 'a', resourceVersion: '1'}}),
    '409 Conflict: Operation cannot be fulfilled on nodes "a": the object has been modified; please apply your changes to the latest version and try again',
  ],
  [
    'PUT',
    `${PAIRS}/one`,
    pair('one'),
    '422 Invalid: Pair.netgraft.dev "one" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an update',
  ],
  [
    'PATCH',
    `${NODES}/a`,
    {},
    '415 UnsupportedMediaType: the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json',
  ],
  ['DELETE', `${NODES}/x`, undefined, '404 NotFound: nodes "x" not found'],
  [
    'DELETE',
    `${NODES}/a`,
    {preconditions: {uid: 'u'}},
    '409 Conflict: Operation cannot be fulfilled on nodes "a": Precondition failed: UID in precondition: u, UID in object meta: UID',
  ],
  [
    'DELETE',
    '/api/v1/namespaces/default',
    undefined,
    '403 Forbidden: namespaces "default" is forbidden: this namespace may not be deleted',
  ],
  [
    'POST',
    '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
    {...PAIRS_CRD, metadata: {name: 'x.y'}},
    '422 Invalid: CustomResourceDefinition.apiextensions.k8s.io "x.y" is invalid: metadata.name: Invalid value: "x.y": must be spec.names.plural+"."+spec.group',
  ],
]

for (const [method, path, body, want] of refusals)
  test(`refused: ${method} ${path} ${JSON.stringify(body) ?? ''}`, async t => {
    const server = await serve(t)
    server.create(PAIRS_CRD)
    const {metadata} = server.create(node('a'))
    server.create(pair('one'))
    t.is(shown(await call(server, method, path, body)), want.replace(/UID$/, metadata.uid!))
  })

test('a body over 3 MiB is refused, and the server lives on', async t => {
  const server = await serve(t)
  const big = node('a', {spec: {podCIDR: 'x'.repeat(3 * 1024 * 1024)}})
  t.is(
    shown(await call(server, 'POST', NODES, big)),
    '413 RequestEntityTooLarge: Request entity too large: limit is 3145728',
  )
  t.is(shown(await call(server, 'POST', NODES, node('a'))), '201 Node a')
})

test('an object lives: created, updated, patched, deleted', async t => {
  const server = await serve(t, {now: () => Date.parse('2026-01-02T03:04:05.678Z')})
  const made = await call(server, 'POST', NODES, node('a', {spec: {podCIDRs: ['not a cidr']}, status: {phase: 'x'}}))
  const {uid, ...metadata} = made.body.metadata
  t.deepEqual(metadata, {name: 'a', generation: 1, creationTimestamp: '2026-01-02T03:04:05Z', resourceVersion: '3'})
  t.is(made.body.status.phase, 'x', 'a node registers with its status')

  const same = await call(server, 'PUT', `${NODES}/a`, made.body)
  t.is(same.body.metadata.resourceVersion, '3', 'an update that changes nothing writes nothing')
  const stripped = node('a', {spec: {podCIDRs: ['10.0.0.0/24']}, status: {phase: 'y'}})
  const {body: updated} = await call(server, 'PUT', `${NODES}/a`, stripped)
  t.deepEqual(updated, {
    ...made.body,
    spec: {podCIDRs: ['10.0.0.0/24']},
    metadata: {...made.body.metadata, resourceVersion: '4', generation: 2},
  })
  const labelled = await patch(server, 'merge', `${NODES}/a`, {metadata: {labels: {a: 'b'}}, status: {phase: 'z'}})
  t.is(`${labelled.body.metadata.generation} ${labelled.body.status.phase}`, '2 x', 'no new generation, no new status')
  const status = await patch(server, 'strategic-merge', `${NODES}/a/status`, {
    status: {phase: 'z'},
    spec: {podCIDRs: []},
  })
  t.is(`${status.body.status.phase} ${status.body.spec.podCIDRs}`, 'z 10.0.0.0/24')
  const stale = await patch(server, 'merge', `${NODES}/a`, {metadata: {resourceVersion: '4'}, spec: {x: 1}})
  t.is(stale.status, 409)

  const gone = await call(server, 'DELETE', `${NODES}/a`)
  t.deepEqual(gone.body.details, {name: 'a', kind: 'nodes', uid})
  t.is((await call(server, 'GET', `${NODES}/a`)).status, 404)
})

test('finalizers hold a deleted object until they are emptied', async t => {
  const server = await serve(t)
  server.create({...node('a'), metadata: {name: 'a', finalizers: ['x/y']}})
  const deleted = await call(server, 'DELETE', `${NODES}/a`)
  t.truthy(deleted.body.metadata.deletionTimestamp)
  t.is(
    (await call(server, 'DELETE', `${NODES}/a`)).body.metadata.resourceVersion,
    deleted.body.metadata.resourceVersion,
  )
  t.truthy(server.get({resource: 'nodes', name: 'a'}))
  await patch(server, 'json', `${NODES}/a`, [{op: 'remove', path: '/metadata/finalizers'}])
  t.is(server.get({resource: 'nodes', name: 'a'}), undefined)
})

test('a namespace takes what is in it along, a definition its objects', async t => {
  const server = await serve(t)
  server.create(PAIRS_CRD)
  server.create({apiVersion: 'v1', kind: 'Namespace', metadata: {name: 'team'}})
  server.create(pod('p', 'team'))
  server.create(pod('p'))
  server.create({...pair('one'), metadata: {name: 'one', namespace: 'team'}})
  server.create(pair('two'))
  server.delete({resource: 'ns', name: 'team'})
  t.deepEqual(
    server.list('pods').map(p => p.metadata.namespace),
    ['default'],
  )
  t.deepEqual(
    server.list('pairs').map(p => p.metadata.name),
    ['two'],
  )
  server.delete({resource: 'crd', name: 'pairs.netgraft.dev'})
  t.is((await call(server, 'GET', PAIRS)).status, 404)
  server.create(PAIRS_CRD)
  t.deepEqual(server.list('pairs.netgraft.dev'), [])
})

test('a custom resource: versions, its status apart, no strategic patch', async t => {
  const server = await serve(t)
  const crd = server.create(PAIRS_CRD)
  t.like(crd.status, {storedVersions: ['v1'], acceptedNames: {plural: 'pairs'}})
  const made = await call(server, 'POST', PAIRS, pair('one', {spec: {peer: 'x'}, status: {ready: true}}))
  t.is(made.body.status, undefined, 'the status is not taken at creation')
  const alpha = await call(server, 'GET', `${PAIRS.replace('v1', 'v1alpha1')}/one`)
  t.deepEqual(alpha.body, {...made.body, apiVersion: 'netgraft.dev/v1alpha1'})
  const put = await call(server, 'PUT', `${PAIRS.replace('v1', 'v1alpha1')}/one/status`, {
    ...alpha.body,
    status: {ready: true},
  })
  t.deepEqual([put.body.status, put.body.metadata.generation], [{ready: true}, 1])
  t.is((await patch(server, 'merge', `${PAIRS}/one`, {spec: {peer: 'y'}})).body.metadata.generation, 2)
  const again = await call(server, 'PUT', `${PAIRS.replace('v1', 'v1alpha1')}/one`, {
    ...alpha.body,
    metadata: {...alpha.body.metadata, resourceVersion: '6'},
    spec: {peer: 'y'},
  })
  t.is(again.body.metadata.resourceVersion, '6', 'the same in another version is no change')
  t.is((await patch(server, 'strategic-merge', `${PAIRS}/one`, {})).status, 415)
})

test('lists: selectors, namespaces, generated names, deletecollection', async t => {
  const server = await serve(t)
  for (const name of ['c', 'a', 'b']) server.create({...pod(name), spec: {nodeName: `n-${name}`}})
  server.create(pod('k', 'kube-system'))
  const names = async (query: string) => shown(await call(server, 'GET', `/api/v1/${query}`))
  t.is(await names('pods'), '200 PodList a,b,c,k')
  t.is(await names('namespaces/default/pods'), '200 PodList a,b,c')
  t.is(await names('pods?fieldSelector=spec.nodeName%3Dn-b'), '200 PodList b')
  t.is(await names('namespaces'), '200 NamespaceList default,kube-system')
  const generated = await call(server, 'POST', '/api/v1/namespaces/default/pods', {metadata: {generateName: 'gen-'}})
  t.regex(generated.body.metadata.name, /^gen-[a-z0-9]{5}$/)
  const deleted = await call(server, 'DELETE', '/api/v1/namespaces/default/pods?fieldSelector=metadata.name!=b')
  t.is(deleted.body.items.length, 3)
  t.is(await names('pods'), '200 PodList b,k')
})

test('a paged list shows one snapshot, whatever is written in between', async t => {
  const server = await serve(t)
  for (const name of ['a', 'b', 'c', 'd', 'e']) server.create(node(name))
  const first = await call(server, 'GET', `${NODES}?limit=2`)
  t.like(first.body.metadata, {resourceVersion: '7', remainingItemCount: 3})
  server.delete({resource: 'nodes', name: 'c'})
  server.create(node('bb'))
  server.patch({resource: 'nodes', name: 'd'}, {spec: {x: 1}})
  const more = await call(server, 'GET', `${NODES}?limit=2&continue=${first.body.metadata.continue}`)
  t.is(shown(more), '200 NodeList c,d')
  t.is(more.body.items[1].spec, undefined)
  const last = await call(server, 'GET', `${NODES}?limit=2&continue=${more.body.metadata.continue}`)
  t.is(shown(last), '200 NodeList e')
  t.deepEqual(last.body.metadata, {resourceVersion: '7'})
  t.is(shown(await call(server, 'GET', `${NODES}?resourceVersion=4&resourceVersionMatch=Exact`)), '200 NodeList a,b')

  server.faults.compact()
  const late = await call(server, 'GET', `${NODES}?limit=2&continue=${first.body.metadata.continue}`)
  t.is(`${late.status} ${late.body.reason}`, '410 Expired')
  const rest = await call(server, 'GET', `${NODES}?continue=${late.body.metadata.continue}`)
  t.is(shown(rest), '200 NodeList bb,d,e', 'its token goes on, inconsistently')
})

test('dryRun writes nothing', async t => {
  const server = await serve(t)
  t.is(shown(await call(server, 'POST', `${NODES}?dryRun=All`, node('a'))), '201 Node a')
  t.deepEqual(server.list('nodes'), [])
})

test('direct calls give copies, and refuse as HTTP does', async t => {
  const server = await serve(t)
  const given = {...node('a'), spec: {podCIDRs: ['10.0.0.0/24']}}
  const made = server.create(given)
  given.spec.podCIDRs.push('x')
  made.spec!.podCIDRs = []
  const ref = {resource: 'nodes', name: 'a'}
  t.deepEqual(server.get(ref)?.spec, {podCIDRs: ['10.0.0.0/24']})
  t.throws(() => server.update({...made, metadata: {name: 'a', resourceVersion: '1'}}), {message: /has been modified/})
  t.throws(() => server.delete({resource: 'nodes', name: 'x'}), {message: 'nodes "x" not found'})
  t.deepEqual(server.patch({...ref, status: true}, {status: {a: 1}}).status, {a: 1})
  t.deepEqual(server.update(node('a', {status: {a: 2}})).status, {a: 1})
  t.deepEqual(server.update(node('a', {status: {a: 3}}), {status: true}).status, {a: 3})
})

test('tables carry columns, and the metadata of their rows', async t => {
  const server = await serve(t)
  server.create(PAIRS_CRD)
  server.create(pair('one', {spec: {peer: 'x', ends: [{host: 'a'}, {host: 'b'}]}}))
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
  const {body} = await call(server, 'GET', PAIRS, undefined, {accept})
  t.is(body.columnDefinitions.map((c: {name: string}) => c.name).join(' '), 'Name Peer Ready Hosts Age')
  t.deepEqual(body.rows[0].cells.slice(0, -1), ['one', 'x', null, 'a,b'])
  t.regex(body.rows[0].cells.at(-1), /^[0-9]s$/)
  t.is(body.rows[0].object.metadata.name, 'one')
  const old = await call(server, 'GET', PAIRS.replace('v1', 'v1alpha1'), undefined, {accept})
  t.is(old.body.rows[0].cells[0], 'one')
})

test('without a known token only health and version are answered', async t => {
  const tokens = new Set(['good'])
  const server = await serve(t, {tokens: () => tokens})
  const get = async (path: string, authorization = '') =>
    (await call(server, 'GET', path, undefined, {authorization})).status
  t.is(shown(await call(server, 'GET', NODES)), '401 Unauthorized: Unauthorized')
  t.is(await get(NODES, 'Bearer bad'), 401)
  t.is(await get(NODES, 'Bearer good'), 200)
  t.is(await get('/healthz'), 200)
  tokens.clear()
  t.is(await get(NODES, 'Bearer good'), 401)
  t.is(parse(server.kubeconfig('http://proxy:1', 'good')).users[0].user.token, 'good')
})

test('requests are logged with their query and agent', async t => {
  const server = await serve(t)
  await call(server, 'GET', `${NODES}?limit=5`, undefined, {'user-agent': 'netgraft/1'})
  t.like(server.requests[0], {method: 'GET', path: `${NODES}?limit=5`, userAgent: 'netgraft/1'})
})

test('serves TLS, and TCP beside a unix socket', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'ng-apiserver-'))
  t.teardown(() => rmSync(folder, {recursive: true, maxRetries: 5}))
  const [key, cert] = [join(folder, 'key'), join(folder, 'cert')]
  const subject = ['-subj', '/CN=lab', '-addext', 'subjectAltName=IP:127.0.0.1']
  const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1']
  execFileSync('openssl', [...make, '-keyout', key, '-out', cert, ...subject], {stdio: 'ignore'})
  const tls = {key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8')}
  const secure = await serve(t, {tls})
  const ca = Buffer.from(parse(secure.kubeconfig()).clusters[0].cluster['certificate-authority-data'], 'base64')
  const status = await new Promise(resolve =>
    httpsGet(`${secure.url}/readyz`, {ca}, answer => resolve(answer.statusCode)),
  )
  t.is(status, 200)

  const socketPath = join(folder, 'api.sock')
  const both = await serve(t, {socketPath, port: 0})
  const over = await new Promise(resolve => request({socketPath, path: '/livez'}, a => resolve(a.statusCode)).end())
  t.is(over, 200)
  t.is((await call(both, 'GET', '/livez')).status, 200)
  t.is((await serve(t, {socketPath: join(folder, 'only.sock')})).url, `unix:${join(folder, 'only.sock')}`)
})
