/** When the API server was heard of last: of several watches the one that was heard of least lately. */
import test from 'ava'
import {contactsWith} from '../../src/agent/contacts.ts'
import {createMetrics} from '../../src/observe/metrics.ts'

function setUp() {
  const metrics = createMetrics({version: '1'})
  const value = async (): Promise<number | undefined> => {
    const {body} = await metrics.expose()
    const [, text] = /^netgraft_api_last_contact_timestamp_seconds\{resource="networks"\} (\S+)$/m.exec(body) ?? []
    return text === undefined ? undefined : Number(text)
  }
  return {contacts: contactsWith('networks', metrics), value}
}

/** Until another moment has another time. */
const nextMoment = async (): Promise<number> => {
  const now = Date.now()
  while (Date.now() <= now) await new Promise(resolve => setImmediate(resolve))
  return Date.now() / 1000
}

test('one watch', async t => {
  const {contacts, value} = setUp()
  const watch = contacts.watch()
  t.is(await value(), undefined)
  const before = Date.now() / 1000
  watch.heard()
  const first = await value()
  t.true(first! >= before && first! <= Date.now() / 1000)
  const later = await nextMoment()
  watch.heard()
  t.true((await value())! >= later)
  watch.absent()
  t.is(await value(), undefined)
  watch.heard()
  t.true((await value())! >= later)
})

test('none of several hides that another one is not heard of', async t => {
  const {contacts, value} = setUp()
  const [one, other] = [contacts.watch(), contacts.watch()]
  one.heard()
  t.is(await value(), undefined)
  other.heard()
  const first = (await value())!
  const later = await nextMoment()
  other.heard()
  t.is(await value(), first)
  one.heard()
  t.true((await value())! >= later)
})
