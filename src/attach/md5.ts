/**
 * MD5 (RFC 1321), for names that others compute the same way. No secret depends on it. Of our own, because the crypto
 * library of a FIPS build refuses it.
 */

/** Of the text's UTF-8 bytes: 32 lower-case hexadecimal digits. */
export function md5(text: string): string {
  const bytes = Buffer.from(text)
  // A one bit, zeros, and the length in bits as 64 bits, up to a whole number of blocks.
  const padded = Buffer.alloc(((bytes.length + 8) >> 6) * BLOCK + BLOCK)
  bytes.copy(padded)
  padded[bytes.length] = 0x80
  padded.writeBigUInt64LE(BigInt(bytes.length) * 8n, padded.length - 8)

  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476)
  for (let at = 0; at < padded.length; at += BLOCK) addBlock(state, padded, at)

  const digest = Buffer.alloc(16)
  state.forEach((word, i) => {
    digest.writeInt32LE(word, i * 4)
  })
  return digest.toString('hex')
}

/** Bytes. */
const BLOCK = 64

/** Bits to rotate by, of each of the four rounds. */
const SHIFTS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
] as const

const SINES = Int32Array.from({length: 64}, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32))

function addBlock(state: Int32Array, block: Buffer, at: number): void {
  let [a, b, c, d] = state as unknown as [number, number, number, number]
  for (let i = 0; i < 64; i++) {
    const round = i >> 4
    const [mixed, word] = mix(round, i, b, c, d)
    const sum = (a + mixed + SINES[i]! + block.readInt32LE(at + word * 4)) | 0
    const shift = SHIFTS[round]![i & 3]!
    a = d
    d = c
    c = b
    b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0
  }
  state[0]! += a
  state[1]! += b
  state[2]! += c
  state[3]! += d
}

/** The round's function, and which word of the block is its. */
function mix(round: number, i: number, b: number, c: number, d: number): readonly [mixed: number, word: number] {
  switch (round) {
    case 0:
      return [(b & c) | (~b & d), i]
    case 1:
      return [(d & b) | (~d & c), (5 * i + 1) & 15]
    case 2:
      return [b ^ c ^ d, (3 * i + 5) & 15]
    default:
      return [c ^ (b | ~d), (7 * i) & 15]
  }
}
