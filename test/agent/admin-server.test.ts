/** The admin socket as a server. */
import {once} from 'node:events'
import {existsSync, mkdtempSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {request} from 'node:http'
import {connect} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {firstValueFrom, ReplaySubject} from 'rxjs'
import {AdminRefusal, type AdminServerOptions, serveAdmin} from '../../src/agent/admin-server.ts'
import {AgentAbsent, ask} from '../../src/cli/ask.ts'

const ANSWERS = {
  status: async () => ({version: '1'}),
  routes: async () => {
    throw new Error('broken')
  },
  attachments: async () => ({attachments: [], text: 'ü'.repeat(100_000)}),
  pairs: () => new Promise(() => {}),
  plan: async () => ({}),
  explain: async (query: URLSearchParams) => {
    if (!query.get('subject')) throw new AdminRefusal('no subject')
    return {subject: query.get('subject')}
  },
} as unknown as AdminServerOptions['answers']

async function server(t: ExecutionContext, path = join(folder(t), 'run', 'admin.sock')) {
  const listening = new ReplaySubject<undefined>(1)
  const subscription = serveAdmin({path, answers: ANSWERS}).subscribe(listening)
  t.teardown(() => subscription.unsubscribe())
  await firstValueFrom(listening)
  return {path, stop: () => subscription.unsubscribe()}
}

function folder(t: ExecutionContext): string {
  const made = mkdtempSync(join(tmpdir(), 'ng-admin-'))
  t.teardown(() => rmSync(made, {recursive: true, force: true, maxRetries: 5}))
  return made
}

/** "200 {…}". */
async function http(socketPath: string, path: string, method = 'GET', body = ''): Promise<string> {
  const asked = request({socketPath, path, method, agent: false})
  asked.end(body)
  const [response] = await once(asked, 'response')
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return `${response.statusCode} ${text.trim()}`
}

test('answers are JSON, whole, and what is asked wrongly is told', async t => {
  const {path} = await server(t)
  t.deepEqual(await ask(path, 'status'), {version: '1'} as never)
  t.is(((await ask(path, 'attachments')) as unknown as {text: string}).text.length, 100_000)
  t.is((await ask(path, 'explain', {subject: 'a/b?c=ü'})).subject, 'a/b?c=ü')
  await t.throwsAsync(ask(path, 'explain'), {message: 'no subject'})
  await t.throwsAsync(ask(path, 'routes'), {message: 'broken'})
  t.is(await http(path, '/v1/explain'), '400 {"error":"no subject"}')
  t.regex(await http(path, '/'), /^404 .*there are \/v1\/status, /)
  for (const odd of ['/v1/', '/v1/constructor', '/v1/status/x', '//', '/v2/status', '/v1/STATUS'])
    t.regex(await http(path, odd), /^404 /, odd)
  for (const method of ['POST', 'PUT', 'DELETE'])
    t.regex(await http(path, '/v1/status', method, method === 'DELETE' ? '' : 'x'), /^405 /, method)
})

test('it is for its owner alone, and takes the place of what is there', async t => {
  const path = join(folder(t), 'admin.sock')
  writeFileSync(path, 'no socket')
  await server(t, path)
  t.is(statSync(path).mode & 0o777, 0o600)
  const second = await server(t, path)
  t.deepEqual(await ask(path, 'status'), {version: '1'} as never)
  // It stays, and nobody listens.
  second.stop()
  t.true(existsSync(path))
  await t.throwsAsync(ask(path, 'status'), {instanceOf: AgentAbsent})
  await t.throwsAsync(ask(`${path}x`, 'status'), {instanceOf: AgentAbsent})
})

test('what is no HTTP is cut off, and the others are served', async t => {
  const {path} = await server(t)
  const socket = connect(path)
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  socket.write('\0\0\0\0\r\n\r\n')
  socket.resume()
  await once(socket, 'close')
  t.deepEqual(await ask(path, 'status'), {version: '1'} as never)
})
