/** The DNS settings of a result out of a file like /etc/resolv.conf. resolv.conf(5). */
import {constants} from 'node:fs'
import {open} from 'node:fs/promises'
import {quoted} from '../../model/errors.ts'
import {CniError} from '../error.ts'
import type {CniDns} from '../result.ts'

const MAX_BYTES = 1 << 20

/** Rejects with CniError. */
export async function readResolvConf(path: string): Promise<CniDns> {
  try {
    // A pipe of that name must not hold us.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const about = await file.stat()
      if (!about.isFile() || about.size > MAX_BYTES) throw new Error('it is no file, or has more than a megabyte')
      return parseResolvConf(await file.readFile('utf8'))
    } finally {
      await file.close()
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new CniError('io', `ipam.resolvConf: ${quoted(path)} cannot be read: ${why}`, {cause})
  }
}

/** The last domain; the nameservers, search domains and options of all lines. */
export function parseResolvConf(text: string): CniDns {
  const nameservers: string[] = []
  const search: string[] = []
  const options: string[] = []
  let domain: string | undefined
  for (const line of text.split('\n')) {
    const [keyword = '', ...values] = line.trim().split(/\s+/)
    const [first] = values
    if (first === undefined) continue
    if (keyword === 'nameserver') nameservers.push(first)
    else if (keyword === 'domain') domain = first
    else if (keyword === 'search') search.push(...values)
    else if (keyword === 'options') options.push(...values)
  }
  return {
    ...(nameservers.length > 0 && {nameservers}),
    ...(domain !== undefined && {domain}),
    ...(search.length > 0 && {search}),
    ...(options.length > 0 && {options}),
  }
}
