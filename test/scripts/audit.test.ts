/** scripts/audit: what it says of what is shipped, by what a registry answers. */
import {execFile} from 'node:child_process'
import {once} from 'node:events'
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {built} from '../agent/support/node.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const {packages} = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'))

test.before(() => built())

async function audit(t: ExecutionContext, registry?: string) {
  const cache = mkdtempSync(join(tmpdir(), 'ng-audit-'))
  t.teardown(() => rmSync(cache, {recursive: true, force: true, maxRetries: 5}))
  const env = {...process.env, npm_config_cache: cache, ...(registry !== undefined && {npm_config_registry: registry})}
  return await new Promise<{status: number; stdout: string; stderr: string}>(resolve =>
    execFile(join(ROOT, 'scripts', 'audit'), {env}, (error, stdout, stderr) =>
      resolve({status: error === null ? 0 : Number(error.code), stdout, stderr}),
    ),
  )
}

/** A registry that knows these advisories: by package, their severity. */
async function registry(t: ExecutionContext, severities: Readonly<Record<string, string>>): Promise<string> {
  const server = createServer((request, response) => {
    const name = decodeURIComponent(request.url!.slice(1))
    const {version = '0.0.0'} = packages[`node_modules/${name}`] ?? {}
    const answer =
      request.method === 'POST'
        ? Object.fromEntries(Object.entries(severities).map(([each, severity], id) => [each, [advisory(id, severity)]]))
        : {name, 'dist-tags': {latest: version}, versions: {[version]: {name, version}}}
    request.resume().on('end', () => response.setHeader('content-type', 'application/json').end(JSON.stringify(answer)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

const advisory = (id: number, severity: string) => ({
  id: id + 1,
  title: 'It breaks',
  url: `https://advisories.example/${id + 1}`,
  severity,
  vulnerable_versions: '*',
  cwe: [],
  cvss: {score: 0, vectorString: null},
})

test('what is shipped has allowed licences, and no grave advisories, where the registry says any', async t => {
  const {status, stdout, stderr} = await audit(t)
  t.log(stdout.trim())
  t.is(status, 0, stdout + stderr)
  t.regex(stdout, /^advisories: (NOT CHECKED: |0 for |\d+ for .*, 0 of them high or critical)/m)
  t.regex(stdout, /^licences: \d+ packages, 0 not allowed$/m)
})

test('none', async t => {
  const {status, stdout} = await audit(t, await registry(t, {}))
  t.is(status, 0)
  t.regex(stdout, /^advisories: 0 for \d+ packages that are shipped, 0 of them high or critical$/m)
})

test('a grave one for a package in the bundle fails', async t => {
  const {status, stdout, stderr} = await audit(t, await registry(t, {rxjs: 'high'}))
  t.is(status, 1)
  t.regex(stdout, /^advisories: 1 for \d+ packages that are shipped, 1 of them high or critical$/m)
  t.regex(stderr, /^advisories: high: rxjs: It breaks \(https:\/\/advisories\.example\/1\)$/m)
})

test('lesser ones are said, and those for what is not shipped counted', async t => {
  const {status, stdout, stderr} = await audit(t, await registry(t, {rxjs: 'moderate', undici: 'critical'}))
  t.is(status, 0, stderr)
  t.regex(stderr, /^advisories: moderate: rxjs: /m)
  t.regex(stdout, /packages that are shipped, 0 of them high or critical; \d+ for packages that are not$/m)
})

test('a registry that cannot be reached, or keeps none, is said and is no failure', async t => {
  const closed = createServer((_, response) => response.writeHead(405).end())
  closed.listen(0, '127.0.0.1')
  await once(closed, 'listening')
  t.teardown(() => closed.close())
  const url = `http://127.0.0.1:${(closed.address() as AddressInfo).port}/`
  const refusing = await audit(t, url)
  closed.close()
  const away = await audit(t, url)
  for (const {status, stdout} of [refusing, away]) {
    t.is(status, 0)
    t.regex(stdout, /^advisories: NOT CHECKED: the registry does not answer "npm audit" \(.+\); ask one that does$/m)
  }
  t.regex(refusing.stdout, /405/)
})
