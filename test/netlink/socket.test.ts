/** What a socket does to the process around it: namespaces, threads, descriptors, the event loop, its own end. */
import {execFile} from 'node:child_process'
import {open} from 'node:fs/promises'
import {promisify} from 'node:util'
import test from 'ava'
import {parseCidr} from '../../src/model/ip.ts'
import {NetlinkSocketError} from '../../src/netlink/errors.ts'
import {Kernel} from '../../src/netlink/kernel.ts'
import {addLink, deleteLink, dumpLinks} from '../../src/netlink/link.ts'
import {addRoute, dumpRoutes} from '../../src/netlink/route.ts'
import {namespaces} from './namespace.ts'

/** Runs test/netlink/child/<name>.ts in a process of its own: the last line that it prints, parsed. */
async function child(name: string, args: string[] = [], wrapper: string[] = []): Promise<unknown> {
  const script = new URL(`child/${name}.ts`, import.meta.url).pathname
  const [program, ...rest] = [...wrapper, process.execPath, '--no-warnings', script, ...args]
  const {stdout} = await promisify(execFile)(program!, rest, {env: {PATH: process.env.PATH}})
  const last = stdout.trim().split('\n').at(-1)!
  return last.startsWith('{') ? JSON.parse(last) : stdout
}

const names = async (kernel: Kernel): Promise<string[]> =>
  (await kernel.dump(dumpLinks())).map(link => link.name).sort()

test('a namespace is named by its path or by a descriptor', async t => {
  const [a, b] = await namespaces(t, 2)
  for (const [at, name] of [
    [a, 'a0'],
    [b, 'b0'],
  ] as const)
    at.ip('link', 'add', 'name', name, 'type', 'bridge')
  const file = await open(a.path, 'r')
  const byFd = await Kernel.open({netns: file.fd})
  // Ours to close: the socket has its own hold on the namespace.
  await file.close()
  t.teardown(() => byFd.close())
  t.deepEqual(await names(byFd), ['a0', 'lo'])
  t.deepEqual(await names(await b.kernel()), ['b0', 'lo'])
  const own = await Kernel.open()
  t.teardown(() => own.close())
  t.false((await names(own)).some(name => ['a0', 'b0'].includes(name)))
})

test('what is no namespace is refused in one clear sentence', async t => {
  t.like(await t.throwsAsync(Kernel.open({netns: '/run/netns/ng-absent'})), {code: 'ENOENT'})
  const notOne = await t.throwsAsync(Kernel.open({netns: '/etc/passwd'}), {instanceOf: NetlinkSocketError})
  t.is(
    notOne.message,
    'netlink socket cannot be opened: what was given as its namespace is no network namespace, or none any more (EINVAL)',
  )
  // Another kind of namespace is not one either.
  t.like(await t.throwsAsync(Kernel.open({netns: '/proc/self/ns/uts'})), {code: 'EINVAL'})
  t.like(await t.throwsAsync(Kernel.open({netns: 1_000_000})), {code: 'EBADF'})
})

test('without the capabilities it says which are needed', async t => {
  const [at] = await namespaces(t, 1)
  const said = await child(
    'unprivileged',
    [at.path],
    ['setpriv', '--bounding-set=-net_admin,-sys_admin,-net_broadcast'],
  )
  t.deepEqual(said, {
    change: 'link add ng-refused type bridge: operation not permitted (EPERM)',
    open: 'netlink socket cannot be opened: CAP_NET_ADMIN and CAP_SYS_ADMIN are needed (EPERM)',
    listen: 'netlink socket cannot be opened: CAP_NET_BROADCAST is needed (EPERM)',
  })
})

test('what was asked of a socket that could not be opened fails for that reason, whenever it is asked', async t => {
  const file = await open('/etc/passwd', 'r')
  t.teardown(() => file.close())
  const kernel = Kernel.begin({netns: file.fd})
  const [first, later] = [kernel.dump(dumpLinks()), kernel.do(deleteLink('absent'))]
  for (const promise of [first, later]) t.like(await t.throwsAsync(promise), {code: 'EINVAL'})
  t.like(await t.throwsAsync(kernel.dump(dumpLinks())), {code: 'EINVAL'})
  kernel.close()
})

test('a sysctl is read and written inside the namespace, and nowhere else', async t => {
  const [a, b] = await namespaces(t, 2)
  const [inA, inB, own] = [await a.kernel(), await b.kernel(), await Kernel.open()]
  t.teardown(() => own.close())
  const before = await own.readSysctl('ipv4/ip_forward')
  await inA.writeSysctl('ipv4/ip_forward', '1')
  await inB.writeSysctl('ipv4/ip_forward', '0')
  t.is(await inA.readSysctl('ipv4/ip_forward'), '1')
  t.is(await inB.readSysctl('ipv4/ip_forward'), '0')
  t.is(a.exec('cat', '/proc/sys/net/ipv4/ip_forward').trim(), '1')
  t.is(b.exec('cat', '/proc/sys/net/ipv4/ip_forward').trim(), '0')
  t.is(await own.readSysctl('ipv4/ip_forward'), before)
  t.like(await t.throwsAsync(inA.readSysctl('ipv4/no_such')), {code: 'ENOENT'})
  t.like(await t.throwsAsync(inA.writeSysctl('ipv4/no_such', '1')), {code: 'ENOENT'})
  t.like(await t.throwsAsync(inA.writeSysctl('ipv4/ip_forward', 'text')), {code: 'EINVAL'})
})

test('close() rejects what is in flight, and what comes after', async t => {
  const [at] = await namespaces(t, 1)
  const kernel = await at.kernel()
  const inFlight = [kernel.dump(dumpLinks()), kernel.do(deleteLink('absent')), kernel.readSysctl('ipv4/ip_forward')]
  kernel.close()
  for (const promise of inFlight) t.like(await t.throwsAsync(promise), {code: 'ECANCELED'})
  t.like(await t.throwsAsync(kernel.dump(dumpLinks())), {code: 'ECANCELED'})
  t.notThrows(() => kernel.close())
})

test('after close() no queued request reaches the kernel', async t => {
  const [at] = await namespaces(t, 1)
  const [closed, other] = [await at.kernel(), await at.kernel()]
  await other.batch(blackholes(5000))
  const closesMeanwhile = {
    ...dumpRoutes({family: 4, protocol: 107}),
    decode: () => {
      // The socket's thread is at work on this dump now: there are more pieces of it than one.
      closed.close()
      return undefined
    },
  }
  const refusals = await Promise.all(
    [closed.dump(closesMeanwhile), closed.do(addLink({name: 'late', kind: {type: 'bridge'}}))].map(promise =>
      promise.then(
        () => 'done',
        error => error.code,
      ),
    ),
  )
  t.deepEqual(refusals, ['ECANCELED', 'ECANCELED'])
  // Its thread has ended when another socket has been opened, used and closed after it, a few times over.
  for (let i = 0; i < 10; i++) await names(await at.kernel())
  t.deepEqual(await names(other), ['lo'])
})

test('what a decoder throws rejects its request, and only that', async t => {
  const [at] = await namespaces(t, 1)
  const kernel = await at.kernel()
  const broken = {
    ...dumpLinks(),
    decode: () => {
      throw new Error('as told')
    },
  }
  t.is((await t.throwsAsync(kernel.dump(broken))).message, 'as told')
  t.deepEqual(await names(kernel), ['lo'])
})

// Alone: other tests of this file run `ip` on this thread.
test.serial('the event loop goes on turning while links are removed', async t => {
  const [at] = await namespaces(t, 1)
  const kernel = await at.kernel()
  // 16 ms a link where the kernel waits for RCU; where it does not, as many as take long enough to tell.
  for (let count = 20; ; count *= 2) {
    const all = Array.from({length: count}, (_, i) => `v${i}`)
    const made = await kernel.batch(all.map(name => addLink({name, kind: {type: 'veth', peer: {name: `${name}p`}}})))
    t.true(made.every(error => error === undefined))
    const {longest, total} = await turnsDuring(async () => {
      t.true((await kernel.batch(all.map(name => deleteLink(name)))).every(error => error === undefined))
    })
    if (total < 100) continue
    // A call on this thread would have held it for the whole time.
    t.true(longest < total / 2, `held for ${longest} of ${total} ms`)
    return
  }
})

/** How long the event loop was held at most between two of its turns, and how long the work took. Milliseconds. */
async function turnsDuring(work: () => Promise<void>): Promise<{longest: number; total: number}> {
  const started = performance.now()
  let longest = 0
  let last = started
  let done = false
  const turn = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (!done) setImmediate(turn)
  }
  setImmediate(turn)
  await work()
  done = true
  return {longest, total: performance.now() - started}
}

const blackholes = (count: number) =>
  Array.from({length: count}, (_, i) =>
    addRoute({
      destination: parseCidr(`10.${i >> 8}.${i & 0xff}.0/24`),
      type: 'blackhole',
      table: 254,
      protocol: 107,
      metric: 0,
      scope: 'global',
      nextHops: [],
    }),
  )

test('answers too many for one buffer come in pieces, with turns of the event loop between them', async t => {
  const [at] = await namespaces(t, 1)
  const kernel = await at.kernel()
  t.deepEqual((await kernel.batch(blackholes(5000))).filter(Boolean), [])
  let turns = 0
  let done = false
  const turn = () => {
    turns++
    if (!done) setImmediate(turn)
  }
  setImmediate(turn)
  t.is((await kernel.dump(dumpRoutes({family: 4, protocol: 107}))).length, 5000)
  done = true
  t.true(turns > 3, `${turns} turns`)
})

test('opening and closing leaves no descriptor, thread or foreign namespace behind', async t => {
  const [at] = await namespaces(t, 1)
  t.deepEqual(await child('cycles', [at.path, '1000']), {atWork: true, ownNamespaceKept: true, threadsElsewhere: 0})
})

test('workers may end with open sockets and requests in flight', async t => {
  const [at] = await namespaces(t, 1)
  t.deepEqual(await child('workers', [at.path]), {workers: 12})
})

test('an idle socket keeps no process alive, a busy one does until it is done', async t => {
  const [at] = await namespaces(t, 1)
  t.is(await child('exit', [at.path, 'idle']), 'end\n')
  t.is(await child('exit', [at.path, 'busy']), '10 results\nend\n')
  t.is(await child('exit', [at.path, 'listen']), 'end\n')
})
