/**
 * kill -9 of the agent before and behind everything that it asks of the world, in ADD, in DEL, and in what puts things in
 * order afterwards: nothing is left that no pod owns, and pods that live notice nothing. Needs root.
 */
import test from 'ava'
import {bundleAgent, removeBundle} from './agent.ts'
import {NETWORKS, type Network} from './networks.ts'
import {faultyNode} from './node.ts'
import {Sweep, WORK, type Work} from './sweep.ts'

let program: string
test.before(async () => {
  program = await bundleAgent()
})
test.after.always(() => removeBundle(program))

for (const network of NETWORKS)
  test(network.title, async t => {
    t.timeout(300_000)
    const node = await faultyNode(t, network)
    const sweep = new Sweep(t, node, {...network, program})
    await sweep.begin()
    const lost = network.first ? async () => 0 : node.ping(sweep.address)
    const points: string[] = []
    for (const work of worksOf(network)) points.push(`${work}: ${await sweep.all(work)}`)
    t.is(await lost(), 0)
    // The one that an agent that lives has ready.
    t.true((await sweep.end()) <= 1)
    t.log(`${sweep.kills} kills; points of ${points.join(', ')}`)
  })

/** Where a DEL comes from makes no difference to what it does. */
const worksOf = (network: Network): readonly Work[] =>
  network.first ? ['ADD'] : WORK.filter(work => work !== 'spooled DEL' || network === NETWORKS[0])
