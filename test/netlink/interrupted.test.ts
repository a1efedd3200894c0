/** Dumps during which the kernel's tables change: NLM_F_DUMP_INTR, linux/netlink.h. */
import test from 'ava'
import type {Kernel} from '../../src/netlink/kernel.ts'
import {addLink, dumpLinks} from '../../src/netlink/link.ts'
import {messages, NLM_F} from '../../src/netlink/message.ts'
import {NetlinkSocket} from '../../src/netlink/socket.ts'
import {namespaces} from './namespace.ts'

const names = async (kernel: Kernel): Promise<string[]> =>
  (await kernel.dump(dumpLinks())).map(link => link.name).sort()

test.serial('an interrupted dump is read again until it is whole, and an endless one is an error', async t => {
  const [at] = await namespaces(t, 1)
  const kernel = await at.kernel()
  const {transact} = NetlinkSocket.prototype
  t.teardown(() => {
    NetlinkSocket.prototype.transact = transact
  })
  let interruptions = 0
  let attempts = 0
  // The real answers, of which the first is marked as the kernel marks it: NLM_F_DUMP_INTR.
  NetlinkSocket.prototype.transact = function (bytes, lastSequence, onData) {
    const mark = attempts++ < interruptions
    return transact.call(this, bytes, lastSequence, data => {
      if (mark) data.writeUInt16LE(data.readUInt16LE(6) | NLM_F.DUMP_INTR, 6)
      onData(data)
    })
  }
  interruptions = 3
  t.deepEqual(await names(kernel), ['lo'])
  t.is(attempts, 4)
  attempts = 0
  interruptions = Number.POSITIVE_INFINITY
  const error = await t.throwsAsync(kernel.dump(dumpLinks()))
  t.like(error, {code: 'EINTR', message: 'link show: interrupted 10 times by changes'})
  t.is(attempts, 10)
})

test.serial('a concurrent writer does interrupt dumps, and none passes as whole', async t => {
  const [at] = await namespaces(t, 1)
  const [kernel, writer] = [await at.kernel(), await at.kernel()]
  for (let i = 0; i < 100; i++) await kernel.do(addLink({name: `br${i}`, kind: {type: 'bridge'}}))
  const {transact} = NetlinkSocket.prototype
  t.teardown(() => {
    NetlinkSocket.prototype.transact = transact
  })
  let interrupted = 0
  NetlinkSocket.prototype.transact = function (bytes, lastSequence, onData) {
    return transact.call(this, bytes, lastSequence, data => {
      for (const {flags, type} of messages(data)) if (type === 16 && flags & NLM_F.DUMP_INTR) interrupted++
      onData(data)
    })
  }
  let writing = true
  const write = async () => {
    for (let i = 0; writing; i++) await writer.do(addLink({name: `new${i}`, kind: {type: 'bridge'}}))
  }
  const written = write()
  const seen: string[][] = []
  while (interrupted === 0) {
    const list = await kernel.dump(dumpLinks()).catch(error => {
      if (error.code !== 'EINTR') throw error
    })
    if (list) seen.push(list.map(link => link.name))
  }
  writing = false
  await written
  // Links were only ever added, in order: a whole list ends with some new one and holds all before it.
  for (const list of [...seen, await names(kernel)]) {
    const added = list.filter(name => name.startsWith('new')).map(name => Number(name.slice(3)))
    t.is(added.length, added.length === 0 ? 0 : Math.max(...added) + 1)
    t.is(list.filter(name => name.startsWith('br')).length, 100)
  }
})
