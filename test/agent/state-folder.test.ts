/** Where the agent keeps its state: what it says while it cannot have the folder. Needs root. */
import {mkdirSync} from 'node:fs'
import test from 'ava'
import {fileLocks} from '../../src/netlink/file-lock.ts'
import {built, SELF, startNode} from './support/node.ts'

test.before(built)

test('while another process works with the state folder the agent says so, and goes on when that has ended', async t => {
  const node = await startNode(t, {nodes: [SELF], start: false})
  const {agent} = node
  mkdirSync(agent.state, {recursive: true})
  const lock = await fileLocks.acquire(agent.state, AbortSignal.timeout(60_000))
  agent.start()
  await node.says('warn', 'another process works with the state folder; waiting until it has ended')
  t.regex((await agent.http('/readyz'))!.body, /^cni: another process works with .*: we wait until it has ended$/m)
  await lock.release()
  await node.until(() => agent.ready())
})
