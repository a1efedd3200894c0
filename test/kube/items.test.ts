import test from 'ava'
import fc from 'fast-check'
import {Items} from '../../src/kube/items.ts'

function read(text: string, size: number) {
  const taken: unknown[] = []
  const items = new Items(object => taken.push(object))
  const bytes = Buffer.from(text)
  for (let i = 0; i < bytes.length; i += size) items.push(bytes.subarray(i, i + size))
  return {taken, envelope: items.end()}
}

test('property: items and the rest are the same wherever the bytes are cut', t => {
  const object = fc.dictionary(fc.string({unit: 'binary'}), fc.jsonValue())
  const rest = fc.record({
    kind: fc.string(),
    metadata: fc.dictionary(fc.constantFrom('items', 'resourceVersion', '"', 'a[', '}'), fc.jsonValue()),
  })
  fc.assert(
    fc.property(fc.array(object), rest, fc.integer({min: 1, max: 40}), fc.boolean(), (items, before, size, indent) => {
      const list = {...before, items, after: [1, {items: [2]}]}
      const {taken, envelope} = read(JSON.stringify(list, null, indent ? 2 : 0), size)
      t.deepEqual(taken, JSON.parse(JSON.stringify(items)))
      t.deepEqual(envelope, JSON.parse(JSON.stringify({...list, items: []})))
    }),
  )
})

test('lists without items, and items that are no objects, are empty', t => {
  t.deepEqual(read('{"metadata":{"resourceVersion":"1"},"items":null}', 7).taken, [])
  t.deepEqual(read('{"metadata":{"resourceVersion":"1"}}', 7).taken, [])
  t.deepEqual(read('{"items": [null, 1, "{", {"b":2}]}', 3).taken, [{b: 2}])
})

test('a body that was cut off, or is no object, is told at the end', t => {
  const text = JSON.stringify({metadata: {resourceVersion: '1'}, items: [{a: 1}, {b: 2}]})
  for (let length = 0; length < text.length; length++) t.throws(() => read(text.slice(0, length), 5))
  t.throws(() => read('null', 5))
  t.throws(() => read('<html>', 5))
})
