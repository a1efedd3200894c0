/** Links on their way out, on the real kernel. Needs root. */
import test, {type ExecutionContext} from 'ava'
import {CniError} from '../../src/cni/error.ts'
import {createRemovals, type RemovalsOptions} from '../../src/cni/removals.ts'
import type {NamespaceKernel, Step} from '../../src/model/namespace.ts'
import type {Link} from '../../src/model/net.ts'
import {OWN_GROUP} from '../../src/model/plans.ts'
import {namespaceKernel} from '../../src/netlink/namespace.ts'
import {type Namespace, namespaces} from '../netlink/namespace.ts'

interface Bed {
  readonly at: Namespace
  readonly kernel: NamespaceKernel
  readonly removals: ReturnType<typeof createRemovals>
  /** Deletions that the kernel was asked for, each with its grace period. */
  readonly deletions: Step[]
}

async function bed(t: ExecutionContext, options?: RemovalsOptions): Promise<Bed> {
  const [at] = await namespaces(t, 1)
  const kernel = namespaceKernel(await at.kernel())
  const deletions: Step[] = []
  const counted: NamespaceKernel = {
    ...kernel,
    change: steps => {
      deletions.push(...steps.filter(({op}) => op === 'delete'))
      return kernel.change(steps)
    },
  }
  return {at, kernel, removals: createRemovals(counted, options), deletions}
}

async function veths({kernel}: Bed, count: number): Promise<Link[]> {
  const names = Array.from({length: count}, (_, i) => `v${i}`)
  const outcomes = await kernel.change(
    names.flatMap((name): Step[] => [
      {op: 'add', object: 'link', item: {name, group: OWN_GROUP, kind: {type: 'veth', peer: {name: `${name}p`}}}},
      {op: 'set', object: 'link', item: name, to: {alias: `netgraft:cni:${name}:eth0`}},
    ]),
  )
  for (const {refusal} of outcomes) if (refusal) throw new Error(refusal.message)
  return Promise.all(names.map(async name => (await kernel.link(name))!))
}

const names = (at: Namespace): string[] => at.json('link', 'show').map(each => each.ifname)

test('one link, twice, and one that has gone', async t => {
  const made = await bed(t)
  const [link] = await veths(made, 1)
  t.is(made.removals.pending('v0'), undefined)
  const gone = made.removals.remove(link!)
  t.is(made.removals.remove(link!), gone)
  t.is(made.removals.pending('v0'), gone)
  await gone
  t.is(made.removals.pending('v0'), undefined)
  t.deepEqual(names(made.at), ['lo'])
  await made.removals.remove(link!)
  t.is(made.deletions.length, 1)
})

test('fifty at once share a few grace periods', async t => {
  const made = await bed(t)
  const links = await veths(made, 50)
  await Promise.all(links.map(link => made.removals.remove(link)))
  t.deepEqual(names(made.at), ['lo'])
  t.is(made.deletions.length, 2)
  t.true(made.deletions.every(({object}) => object === 'link group'))
})

test('what waits while one is deleted goes together', async t => {
  const made = await bed(t, {atOnce: 10})
  const links = await veths(made, 15)
  const first = made.removals.remove(links[0]!)
  await new Promise(setImmediate)
  const others = links.slice(1).map(link => made.removals.remove(link))
  await Promise.all([first, ...others])
  t.deepEqual(names(made.at), ['lo'])
  t.deepEqual(
    made.deletions.map(({object}) => object),
    ['link', 'link group', 'link group'],
  )
})

test('a group of somebody else is not taken, and a link that has changed hands stays', async t => {
  const made = await bed(t)
  const links = await veths(made, 4)
  made.at.ip('link', 'set', 'v1', 'alias', 'mine')
  made.at.ip('link', 'add', 'foreign', 'type', 'veth', 'peer', 'name', 'foreignp')
  made.at.ip('link', 'set', 'foreign', 'group', '4711')
  const results = await Promise.allSettled(links.map(link => made.removals.remove(link)))
  t.deepEqual(
    results.map(({status}) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  )
  const {reason} = results[1] as PromiseRejectedResult
  t.true(reason instanceof CniError)
  t.regex(reason.message, /is another one now: it is left alone/)
  t.deepEqual(names(made.at).sort(), ['foreign', 'foreignp', 'lo', 'v1', 'v1p'])
  t.is(made.at.json('link', 'show', 'dev', 'v1')[0].group, `${OWN_GROUP}`)
})

test('a link that goes by itself among others is no failure', async t => {
  const made = await bed(t)
  const links = await veths(made, 5)
  made.at.ip('link', 'del', 'v2')
  await Promise.all(links.map(link => made.removals.remove(link)))
  t.deepEqual(names(made.at), ['lo'])
})

test('a kernel that refuses is heard, and the next removal works', async t => {
  const made = await bed(t)
  const [link] = await veths(made, 1)
  let deaf = true
  const removals = createRemovals({
    ...made.kernel,
    change: async steps =>
      deaf ? steps.map(() => ({refusal: {code: 'EPERM', message: 'no'}})) : made.kernel.change(steps),
  })
  await t.throwsAsync(removals.remove(link!), {instanceOf: CniError, message: /"v0" cannot be deleted: no/})
  deaf = false
  await removals.remove(link!)
  t.deepEqual(names(made.at), ['lo'])
})
