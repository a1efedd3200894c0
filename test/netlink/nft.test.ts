/** The nft program, where it works and where it does not, and the kernel's word of changes. Needs root. */
import {execFileSync} from 'node:child_process'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import {NftError, type NftTrouble} from '../../src/model/nft.ts'
import {type NftOptions, nftProgram} from '../../src/netlink/nft.ts'
import {isOf, tableChanges} from '../../src/netlink/nft-monitor.ts'
import {namespaces} from './namespace.ts'

const NFT = '/usr/sbin/nft'
const TABLE = {family: 'inet', name: 'netgraft'}
const set = (name: string) => ({add: {set: {family: 'inet', table: 'netgraft', name, type: 'ipv4_addr'}}})

test('a table is listed, and a transaction is whole or not at all', async t => {
  const [at] = await namespaces(t, 1)
  const nft = nftProgram({netns: at.path})
  t.is(await nft.list('netgraft'), undefined)
  await nft.apply([{add: {table: TABLE}}, set('a')])
  const names = async () => JSON.stringify(await nft.list('netgraft')).match(/"name":"[^"]*"/g)
  t.deepEqual(await names(), ['"name":"netgraft"', '"name":"a"'])
  const refused = await t.throwsAsync(nft.apply([set('b'), {delete: {set: {...set('none').add.set}}}]), {
    instanceOf: NftError,
  })
  t.regex(refused.message, /^nft refused a change: ".+"$/)
  t.is((refused as NftError).trouble, 'refused')
  t.deepEqual(await names(), ['"name":"netgraft"', '"name":"a"'])
  t.is(await nft.list('other'), undefined)
})

test("the agent's own namespace is where it runs without another", async t => {
  t.is(await nftProgram().list('ng-no-such-table'), undefined)
})

async function program(t: ExecutionContext, script: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ng-nft-'))
  t.teardown(() => rm(folder, {recursive: true, maxRetries: 5}))
  const path = join(folder, 'nft')
  // Another process writes it: a child that this one starts meanwhile would keep it open, and it could not be run.
  execFileSync('/bin/sh', ['-c', 'cat > "$0" && chmod 755 "$0"', path], {input: `#!/bin/sh\n${script}\n`})
  return path
}

const fails = async (t: ExecutionContext, options: NftOptions, trouble: NftTrouble, message: RegExp) => {
  const nft = nftProgram(options)
  for (const call of [() => nft.list('netgraft'), () => nft.apply([{add: {table: TABLE}}])]) {
    const error = await t.throwsAsync(call, {instanceOf: NftError, message})
    t.is((error as NftError).trouble, trouble)
  }
}

test('it is not there', async t => {
  await fails(t, {program: '/nowhere/nft'}, 'missing', /^"\/nowhere\/nft" is not there: .+ install nftables$/)
  await fails(t, {program: '/nowhere/nft', path: '/nowhere'}, 'missing', /^"nft" is not there/)
  await fails(t, {program: '/etc/passwd'}, 'missing', /^"\/etc\/passwd" cannot be started \(EACCES\)/)
  const [at] = await namespaces(t, 1)
  await fails(t, {program: '/nowhere/nft', netns: at.path}, 'missing', /^"\/nowhere\/nft" is not there/)
})

test('it is somewhere else', async t => {
  const elsewhere = await program(t, `exec ${NFT} "$@"`)
  const nft = nftProgram({program: '/nowhere/nft', path: join(elsewhere, '..')})
  t.is(await nft.list('ng-no-such-table'), undefined)
})

test('it hangs, with a child that keeps its output open', async t => {
  await fails(t, {program: await program(t, '/bin/sleep 2 & wait'), timeoutMs: 100}, 'timeout', /did not end in 100 ms/)
})

test('it prints without end', async t => {
  await fails(
    t,
    {program: await program(t, 'exec /usr/bin/yes'), outputLimit: 1 << 20},
    'refused',
    /more than 1048576 bytes/,
  )
})

test('it prints no listing', async t => {
  for (const text of ['x', '{}', '[]', '{"nftables": 1}', 'null', '']) {
    const nft = nftProgram({program: await program(t, `printf '%s' '${text}'`)})
    await t.throwsAsync(nft.list('netgraft'), {instanceOf: NftError, message: /no listing/}, text)
  }
  const crashes = await program(
    t,
    '[ "$3" = tables ] && echo \'{"nftables": [{"table": {"name": "netgraft"}}]}\' || kill -11 $$',
  )
  await t.throwsAsync(nftProgram({program: crashes}).list('netgraft'), {
    message: 'nft cannot read table inet netgraft: "killed by SIGSEGV"',
  })
  t.is(await nftProgram({program: crashes}).list('other'), undefined)
})

test('it fails with whatever words', async t => {
  const kernel = await program(t, 'echo "cache initialization failed: Operation not supported" >&2; exit 1')
  await t.throwsAsync(nftProgram({program: kernel}).list('netgraft'), {
    message:
      'nft cannot read the kernel\'s tables ("cache initialization failed: Operation not supported"): does this kernel have nf_tables, and the agent CAP_NET_ADMIN?',
  })
  const silent = await program(t, 'kill -9 $$')
  await t.throwsAsync(nftProgram({program: silent}).apply([]), {message: 'nft refused a change: "killed by SIGKILL"'})
  const long = await program(t, '/usr/bin/head -c 100000 /dev/zero | /usr/bin/tr "\\0" x >&2; exit 1')
  const error = await t.throwsAsync(nftProgram({program: long}).apply([]))
  t.true(error.message.length < 200)
})

test('there is no place for its commands', async t => {
  await t.throwsAsync(nftProgram({folder: '/nowhere'}).apply([]), {
    message: 'nft\'s commands cannot be written into "/nowhere" (ENOENT): make it writable',
  })
})

test('changes of the table are told, our own and those of other tables are not', async t => {
  const [at] = await namespaces(t, 1)
  const nft = nftProgram({netns: at.path})
  let [told, own] = [0, 0]
  let heard = Promise.withResolvers<void>()
  const wrote = (port: number) => {
    const ours = nft.wrote(port)
    if (ours) own++
    return ours
  }
  const subscription = tableChanges('netgraft', {netns: at.path, wrote}).subscribe(() => {
    told++
    heard.resolve()
  })
  t.teardown(() => subscription.unsubscribe())
  const next = async (change: () => unknown) => {
    await heard.promise
    const before = told
    heard = Promise.withResolvers()
    await change()
    await heard.promise
    return told - before
  }
  const foreign = (...args: string[]) => at.exec(NFT, ...args)
  await next(() => foreign('add', 'table', 'inet', 'netgraft'))
  t.is(await next(() => foreign('add', 'set', 'inet', 'netgraft', 'a', '{ type ipv4_addr; }')), 1)
  t.is(await next(() => foreign('add', 'element', 'inet', 'netgraft', 'a', '{ 10.0.0.1 }')), 1)
  const silently = async () => {
    await nft.apply([set('b')])
    foreign('add', 'table', 'inet', 'other')
    foreign('add', 'table', 'ip', 'netgraft')
    foreign('add', 'chain', 'inet', 'netgraft', 'c')
  }
  t.is(await next(silently), 1)
  t.true(own > 0, 'its port is known')
  t.is(await next(() => foreign('flush', 'ruleset')), 1)
})

test('a namespace that is not there ends the stream with an error', async t => {
  const error = await new Promise<Error>(resolve => {
    tableChanges('netgraft', {netns: '/nowhere'}).subscribe({error: resolve})
  })
  t.regex(error.message, /ENOENT/)
})

test('any message is about our table or not', t => {
  fc.assert(
    fc.property(fc.nat(0xffff), fc.uint8Array({maxLength: 64}), (type, bytes) => {
      isOf({type, body: Buffer.from(bytes)}, 'netgraft')
    }),
  )
  t.pass()
})
