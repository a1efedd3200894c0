/** Our bytes against iproute2's and the kernel's. */
import test from 'ava'
import {messages, NLM_F, Writer} from '../../src/netlink/message.ts'
import type {Request} from '../../src/netlink/request.ts'
import {requests as addressRequests} from './golden/address-requests.ts'
import {answers} from './golden/answers.ts'
import {answers as linkAnswers} from './golden/link-answers.ts'
import {requests as linkRequests} from './golden/link-requests.ts'
import {requests as neighbourRequests} from './golden/neighbour-requests.ts'
import {requests as routeRequests} from './golden/route-requests.ts'
import {requests as ruleRequests} from './golden/rule-requests.ts'
import {bytes, tree} from './golden/tree.ts'

for (const requests of [linkRequests, addressRequests, routeRequests, neighbourRequests, ruleRequests])
  for (const golden of requests)
    test(`writes what "${golden.command}" writes`, t => {
      const {adds = [], lacks = []} = golden.differs ?? {}
      const theirs = tree(bytes(golden.bytes)).split('\n')
      const ours = tree(encoded(golden.request)).split('\n')
      t.deepEqual(without(ours, adds), without(theirs, lacks))
    })

for (const golden of [...linkAnswers, ...answers])
  test(`reads ${golden.name}`, t => {
    const all = [...messages(bytes(golden.bytes))]
    t.is(all.length, 1)
    t.deepEqual(golden.decode(all[0]!), golden.want)
  })

/** As the kernel port sends it: a change asks to be acknowledged, a dump ends by itself. */
function encoded(request: Request): Buffer {
  const writer = new Writer()
  const isDump = (request.flags & NLM_F.DUMP) === NLM_F.DUMP && 'answer' in request
  writer.begin(request.type, NLM_F.REQUEST | request.flags | (isDump ? 0 : NLM_F.ACK), 1)
  request.encode(writer)
  writer.end()
  return writer.finish()
}

/** Fails where a line that is said to be there is not. */
function without(lines: readonly string[], gone: readonly string[]): string[] {
  const left = [...lines]
  for (const line of gone) {
    const at = left.indexOf(line)
    if (at < 0) throw new Error(`"${line}" is documented as a difference, but is not there:\n${lines.join('\n')}`)
    left.splice(at, 1)
  }
  return left
}
