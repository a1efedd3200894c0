/** A tar archive in memory: plain files of one moment, as any `tar` reads it. POSIX.1-1988 ("ustar"). */

export interface TarFile {
  /** With slashes; at most 100 bytes. */
  readonly name: string
  readonly bytes: Buffer
}

/** Bytes: all is in blocks of these, and ends with two that are zero. */
const BLOCK = 512
/** Bytes, of a name that needs no prefix. */
const NAME_MAX = 100
/** Root alone reads what it unpacks. */
const MODE = 0o600

/** `at`: milliseconds since the epoch, of all files. */
export const tar = (files: readonly TarFile[], at: number): Buffer =>
  Buffer.concat([
    ...files.flatMap(({name, bytes}) => [
      header(name, bytes.length, at),
      bytes,
      Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK),
    ]),
    Buffer.alloc(2 * BLOCK),
  ])

function header(name: string, size: number, at: number): Buffer {
  if (Buffer.byteLength(name) > NAME_MAX) throw new Error(`${name} is longer than ${NAME_MAX} bytes`)
  const block = Buffer.alloc(BLOCK)
  const octal = (value: number, offset: number, width: number) =>
    block.write(`${value.toString(8).padStart(width - 1, '0')}\0`, offset, 'latin1')
  block.write(name, 0)
  octal(MODE, 100, 8)
  octal(0, 108, 8) // owner
  octal(0, 116, 8) // group
  octal(size, 124, 12)
  octal(Math.floor(at / 1000), 136, 12)
  block.write('        ', 148, 'latin1') // the checksum is made with blanks in its place
  block.write('0', 156, 'latin1') // a plain file
  block.write('ustar\0', 257, 'latin1')
  block.write('00', 263, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}
