import test from 'ava'
import fc from 'fast-check'
import {Lines} from '../../src/kube/lines.ts'

/** A text's bytes, cut wherever the numbers say. */
function chunksOf(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text)
  const places = [0, ...cuts.map(cut => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  return places.slice(1).map((end, index) => bytes.subarray(places[index]!, end))
}

test('property: lines are the same wherever the bytes are cut', t => {
  const line = fc.string({unit: 'binary'}).map(text => text.replaceAll('\n', ''))
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat()), (texts, cuts) => {
      const lines = new Lines(1_000_000)
      const got = chunksOf(texts.map(text => `${text}\n`).join(''), cuts).flatMap(chunk => lines.push(chunk))
      lines.end()
      t.deepEqual(
        got,
        texts.map(text => Buffer.from(text).toString()),
      )
    }),
  )
})

test('a line without its end is told at the end', t => {
  const lines = new Lines(100)
  t.deepEqual(lines.push(Buffer.from('a\nb')), ['a'])
  t.throws(() => lines.end(), {instanceOf: SyntaxError, message: 'the last line is cut off after 1 bytes'})
})

test('a line that never ends is refused', t => {
  const lines = new Lines(10)
  lines.push(Buffer.from('12345\n123456'))
  t.throws(() => lines.push(Buffer.from('78901')), {instanceOf: RangeError})
})
