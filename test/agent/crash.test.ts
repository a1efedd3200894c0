/** kill -9 at any moment of a pass over 1,000 nodes, and a new start: the state is exact. The real agent; needs root. */
import {setTimeout as sleep} from 'node:timers/promises'
import test from 'ava'
import fc from 'fast-check'
import {built, SELF, startNode} from './support/node.ts'

const COUNT = 1000

test.before(built)

test('whenever it is killed, the next one finishes the work', async t => {
  const object = (n: number, address: number) =>
    `n${n} 10.${64 + (n >> 8)}.${n & 255}.0/24 fd00:64:${n.toString(16)}::/64 via 192.168.${address >> 8}.${address & 255} fd00:100::${address.toString(16)}`
  const numbers = Array.from({length: COUNT}, (_, i) => i + 2)
  const node = await startNode(t, {nodes: [SELF, ...numbers.map(n => object(n, n))], start: false})
  const want = (shift: number) =>
    numbers
      .flatMap(n => {
        const address = n + shift
        return [
          `10.${64 + (n >> 8)}.${n & 255}.0/24 via 192.168.${address >> 8}.${address & 255} dev eth0 metric 2048`,
          `fd00:64:${n.toString(16)}::/64 via fd00:100::${address.toString(16)} dev eth0 metric 2048`,
        ]
      })
      .sort()
      .join('\n')
  const have = async () => [...(await node.routes(4)), ...(await node.routes(6))].sort().join('\n')
  // How long each of them lives after the moment at which the pass is about to begin, in milliseconds.
  const lives = fc.sample(fc.nat(100), {numRuns: 8, seed: 7})
  let unfinished = 0
  for (const [round, life] of lives.entries()) {
    // Every route of the round before is to be replaced.
    const shift = round + 1
    for (const n of numbers) node.put(object(n, n + shift))
    // Some are missing, some are nobody's.
    await node.ip('route add 10.250.0.0/24 via 192.168.0.9 proto 107 metric 2048')
    if (round > 0)
      for (const n of [2, 300]) await node.ip(`route del 10.${64 + (n >> 8)}.${n & 255}.0/24`).catch(() => '')
    node.agent.start()
    await node.says('"listed"')
    await sleep(life)
    await node.agent.kill()
    if ((await have()) !== want(shift)) unfinished++
    node.agent.start()
    await node.until(async () => (await have()) === want(shift), `the routes of round ${round}`)
    await node.until(() => node.agent.ready())
    t.is(await node.agent.stop(), 0)
    t.deepEqual(
      node.agent.logs.filter(line => line.level !== 'info' && line.level !== 'debug'),
      [],
    )
  }
  t.log(`${unfinished} of ${lives.length} were killed before they had finished`)
  t.is(await node.routes().then(routes => routes.length), COUNT)
})
