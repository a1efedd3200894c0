/** Attachments that are to go when the agent has been asked to end. */
import test from 'ava'
import {createAttachments} from '../../src/cni/attachments.ts'
import type {Logger} from '../../src/model/logger.ts'
import {namespaces} from '../../src/netlink/namespace.ts'
import {folderOf, KEY, openQuietly, planOf, RESULT, reopened} from './journal-support.ts'

test('nobody waits for a removal that nobody begins with any more; the next agent has it', async t => {
  const folder = await folderOf(t)
  const journal = await openQuietly(t, folder)
  const attachments = await createAttachments({
    journal,
    keep: [],
    namespaces: namespaces(),
    find: () => t.fail() as never,
    log: {} as Logger,
    signal: AbortSignal.abort(),
    retryMs: () => 1,
    did: () => {},
  })
  await attachments.adopt(planOf(), RESULT, false)
  await attachments.remove(attachments.entries.get('c1@eth0')!)
  await attachments.settled(KEY)
  t.like((await reopened(t, folder))[0], {state: 'deleting'})
})
