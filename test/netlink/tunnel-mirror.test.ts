/** The mirror of vxlan devices, their neighbours and forwarding entries: on the real kernel, whatever is done. Needs root. */
import {execFileSync} from 'node:child_process'
import {setTimeout as sleep} from 'node:timers/promises'
import test from 'ava'
import fc from 'fast-check'
import type {KernelSnapshot} from '../../src/model/kernel.ts'
import type {IfIndex} from '../../src/model/net.ts'
import {NUD} from '../../src/netlink/neighbour.ts'
import {kernelSource} from '../../src/netlink/source.ts'
import {foldOf, type LiveMirror, liveMirror, stateText} from './live-mirror.ts'
import {type Namespace, namespaces} from './namespace.ts'

/** In order; what cannot be done is left out. The event loop stands still meanwhile. */
function batch(at: Namespace, commands: readonly string[]): void {
  let from = 0
  while (from < commands.length) {
    const tool = toolOf(commands[from]!)
    let to = from
    while (to < commands.length && toolOf(commands[to]!) === tool) to++
    const input = `${commands.slice(from, to).join('\n')}\n`
    try {
      execFileSync(tool, ['-n', at.name, '-force', '-batch', '-'], {input, stdio: ['pipe', 'ignore', 'ignore']})
    } catch {}
    from = to
  }
}

const toolOf = (command: string) => (command.startsWith('fdb') ? 'bridge' : 'ip')

/**
 * As {@link LiveMirror.agrees}, but for what the kernel never tells: neighbours that it makes for IPv6 multicast. And
 * there are as many forwarding entries as a dump lists.
 */
async function agrees(live: LiveMirror, at: Namespace): Promise<void> {
  const source = kernelSource(live.kernel, {netns: at.path})
  for (let tries = 0; ; tries++) {
    await live.mirror.settle()
    const snapshot = await source.snapshot()
    const want = told(stateText(foldOf(snapshot)))
    await live.mirror.settle()
    const have = told(stateText(live.state()))
    if (have === want && countFdb(live) === snapshot.fdb.length) return
    // The kernel tells of a lost carrier, and of a new IPv6 address, a little later.
    if (tries === 200) throw new Error(`the mirror\n${have}\nthe kernel\n${want}\n${fdbText(snapshot)}`)
    await sleep(20)
  }
}

const told = (text: string) =>
  text
    .split('\n')
    .filter(line => !(line.startsWith('neigh ') && line.includes(' ip=ff02::')))
    .join('\n')

const countFdb = (live: LiveMirror) =>
  [...live.state().fdb.values()].flatMap(entries => [...entries.values()]).flat().length

const fdbText = ({fdb}: KernelSnapshot) =>
  fdb.map(({mac, remote, port, vni}) => `${mac} ${remote} ${port} ${vni}`).join('\n')

const ADD = {
  vx0: 'link add vx0 type vxlan id 1 dstport 8472 local 192.168.0.1 nolearning',
  vx1: 'link add vx1 type vxlan id 1 dstport 8472 local fd00:100::1 nolearning',
} as const
const START = [
  'link add eth0 type veth peer name sw0',
  'link set eth0 up',
  'addr add 192.168.0.1/16 dev eth0',
  'addr add fd00:100::1/64 dev eth0 nodad',
  ADD.vx0,
  ADD.vx1,
  'link set vx0 up',
  'link set vx1 up',
]
const CLEAR = ['eth0', 'vx0', 'vx1', 'vx2'].map(dev => `link del ${dev}`)

/**
 * `ip` and `bridge` commands, most of which the kernel accepts. Left out is what it does but never tells: another alias,
 * group or vxlan setting of a link that is down.
 */
function command(elsewhere: string): fc.Arbitrary<string> {
  const pick = (...words: string[]) => fc.constantFrom(...words)
  const text = (strings: TemplateStringsArray, ...parts: fc.Arbitrary<string>[]) =>
    fc.tuple(...parts).map(values => String.raw({raw: strings}, ...values))
  const dev = pick('vx0', 'vx0', 'vx1')
  const mac = pick('02:00:00:00:00:01', '02:00:00:00:00:02', '02:00:00:00:00:03')
  const links = fc.oneof(
    {weight: 3, arbitrary: pick(ADD.vx0, ADD.vx1, ADD.vx0.replace(' nolearning', ''), ADD.vx1.replace('id 1', 'id 2'))},
    {weight: 3, arbitrary: text`link set ${dev} ${pick('up', 'up', 'down')}`},
    text`link del ${dev}`,
    text`link set ${dev} address ${mac}`,
    text`link set ${dev} mtu ${pick('1200', '1400', '1500')}`,
    text`link set ${dev} up alias ${pick('one', 'two')}`,
    text`link set ${dev} up group ${pick('7', '0')}`,
    text`link set ${dev} up type vxlan id 1 ${pick('learning', 'nolearning', 'local 192.168.0.2', 'remote 192.168.0.9')}`,
    text`link set ${dev} netns ${pick(elsewhere)}`,
    text`link set ${dev} name vx2`,
    text`link set vx2 name ${dev}`,
    text`link set eth0 ${pick('up', 'down')}`,
    pick('link del eth0', 'link add eth0 type veth peer name sw0'),
  )
  const ip = pick('10.1.2.0', '10.1.3.0', 'fe80::2', 'fe80::3')
  const state = pick('permanent', 'permanent', 'stale', 'noarp')
  const neighbours = fc.oneof(
    {weight: 4, arbitrary: text`neigh ${pick('add', 'replace', 'change')} ${ip} lladdr ${mac} dev ${dev} nud ${state}`},
    {weight: 2, arbitrary: text`neigh del ${ip} dev ${dev}`},
    text`neigh flush dev ${dev} ${pick('', 'nud permanent')}`,
  )
  const remote = pick('192.168.0.2', '192.168.0.3', 'fd00:100::2', 'fd00:100::3')
  const how = pick('', '', 'port 4789', 'vni 7', 'via eth0')
  const group = pick('00:00:00:00:00:00', '01:00:5e:00:00:01')
  const entries = fc.oneof(
    {
      weight: 4,
      arbitrary: text`fdb ${pick('add', 'replace', 'append')} ${mac} dev ${dev} dst ${remote} ${how} self ${pick('permanent', 'dynamic', 'static')}`,
    },
    {
      weight: 3,
      arbitrary: text`fdb ${pick('append', 'append', 'add')} ${group} dev ${dev} dst ${remote} self permanent`,
    },
    {
      weight: 2,
      arbitrary: text`fdb del ${fc.oneof(mac, group)} dev ${dev} ${pick('', 'dst 192.168.0.2', 'dst fd00:100::2')}`,
    },
    text`fdb flush dev ${dev} ${pick('', 'permanent', 'nopermanent')}`,
  )
  const others = fc.oneof(
    text`addr ${pick('add', 'del')} ${pick('10.1.1.0/32', 'fd01::/128')} dev ${dev}`,
    text`addr flush dev ${dev}`,
    text`route ${pick('add', 'replace', 'del')} 10.1.2.0/24 via 10.1.2.0 dev ${dev} onlink`,
    text`route ${pick('add', 'replace', 'del')} fd01:2::/64 via fe80::2 dev ${dev}`,
  )
  return fc.oneof(
    {weight: 4, arbitrary: links},
    {weight: 5, arbitrary: neighbours},
    {weight: 6, arbitrary: entries},
    {weight: 2, arbitrary: others},
  )
}

test('whatever ip and bridge do to vxlan devices, the mirror says what a dump says', async t => {
  const [at, elsewhere] = await namespaces(t, 2)
  const live = await liveMirror(t, at)
  for (const conf of ['all', 'default']) await live.kernel.writeSysctl(`ipv6/conf/${conf}/accept_dad`, '0')
  const rounds = fc.array(fc.array(command(elsewhere.name), {minLength: 1, maxLength: 8}), {
    minLength: 8,
    maxLength: 16,
  })
  await fc.assert(
    fc.asyncProperty(rounds, async commands => {
      batch(at, [...CLEAR, ...START])
      batch(elsewhere, CLEAR)
      for (const round of commands) {
        batch(at, round)
        await agrees(live, at)
      }
    }),
    {numRuns: 12, endOnFailure: true, includeErrorInReport: true},
  )
  t.deepEqual(live.errors, [])
})

test('remotes of one MAC that differ in port, identifier or interface alone', async t => {
  const [at] = await namespaces(t, 1)
  const live = await liveMirror(t, at)
  batch(at, START)
  for (const command of [
    'append 00:00:00:00:00:00 dev vx0 dst 192.168.0.2',
    'append 00:00:00:00:00:00 dev vx0 dst 192.168.0.2 port 4789',
    'append 00:00:00:00:00:00 dev vx0 dst 192.168.0.2 vni 7',
    'append 00:00:00:00:00:00 dev vx0 dst 192.168.0.2 via eth0',
    'del 00:00:00:00:00:00 dev vx0 dst 192.168.0.2 port 4789',
    'del 00:00:00:00:00:00 dev vx0 dst 192.168.0.2',
  ]) {
    at.bridge('fdb', ...command.split(' '))
    await t.notThrowsAsync(agrees(live, at), command)
  }
})

test('a deaf moment while neighbours and forwarding entries change, and everything is read again', async t => {
  const [at] = await namespaces(t, 1)
  const live = await liveMirror(t, at, {receiveBuffer: 4096})
  batch(at, START)
  const numbers = Array.from({length: 2000}, (_, n) => n)
  const commands = numbers.flatMap(n => {
    const mac = `02:00:00:00:${(n >> 8).toString(16)}:${(n & 255).toString(16)}`
    return [
      `neigh replace 10.1.${n >> 8}.${n & 255} lladdr ${mac} dev vx0 nud permanent`,
      `neigh replace fe80::${n.toString(16)} lladdr ${mac} dev vx1 nud permanent`,
    ]
  })
  const entries = numbers.map(
    n =>
      `fdb add 02:00:00:00:${(n >> 8).toString(16)}:${(n & 255).toString(16)} dev vx0 dst 192.168.0.2 self permanent`,
  )
  batch(at, [...commands, ...entries])
  await agrees(live, at)
  t.true(live.resyncs.includes('lost'))
  const [vx0, vx1] = [at.index('vx0'), at.index('vx1')]
  const permanent = (dev: IfIndex) =>
    [...live.state().neighbours.get(dev)!.values()].filter(({state}) => state === NUD.PERMANENT).length
  t.deepEqual([permanent(vx0), permanent(vx1), live.state().fdb.get(vx0)?.size], [2000, 2000, 2000])
  t.deepEqual(live.errors, [])
})
