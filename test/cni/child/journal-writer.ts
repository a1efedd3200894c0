/** Writes into the journal that its argument names until it is killed; says so once it has begun. */
import {openJournal, type Plan} from '../../../src/cni/journal.ts'
import {openFiles} from '../../../src/netlink/files.ts'

const journal = await openJournal(process.argv[2]!, await openFiles(), problem => {
  throw new Error(problem)
})

async function live(containerId: string): Promise<void> {
  const plan: Plan = {
    containerId,
    ifname: 'eth0',
    request: '',
    netns: '',
    sandbox: '',
    boot: '',
    args: 'x'.repeat(5000),
    path: [],
    network: '',
    list: {cniVersion: '1.0.0', name: 'pods', plugins: []},
    at: Date.now(),
  }
  const search = ['x'.repeat(20_000)]
  await journal.begin(plan, Number(containerId.slice(1)) % 3 === 0)
  await journal.added(plan, {interfaces: [], ips: [], routes: [], dns: {search}})
  if (Math.random() < 0.8) await journal.deleting(plan)
  if (Math.random() < 0.5) await journal.end(plan)
}

for (let n = 0; ; n += 4) {
  await Promise.all([0, 1, 2, 3].map(i => live(`c${n + i}`)))
  if (n === 0) process.send?.('begun')
}
