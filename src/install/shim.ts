/** The program that the runtime starts: which file is one. */
import {readFile, stat} from 'node:fs/promises'
import {InstallError, refused} from './problem.ts'

/** native/cni-shim.c has this text in it, in every version. */
const MARK = Buffer.from('netgraft-cni-shim')
const ELF = Buffer.from('\x7fELF', 'latin1')
/** Bytes. It has about 40 KB. */
export const SHIM_MAX = 4 * 1024 * 1024

/** Of whatever version. */
export const isShim = (content: Buffer): boolean =>
  content.subarray(0, ELF.length).equals(ELF) && content.includes(MARK)

/** The one to install. Throws {@link InstallError}. */
export async function readShim(path: string): Promise<Buffer> {
  try {
    const about = await stat(path)
    const content = about.isFile() && about.size <= SHIM_MAX ? await readFile(path) : Buffer.alloc(0)
    if (!isShim(content))
      throw new InstallError(`${path} is not the shim of Netgraft; name the file netgraft-cni of its build with --shim`)
    return content
  } catch (error) {
    throw refused(path, 'read', error)
  }
}
