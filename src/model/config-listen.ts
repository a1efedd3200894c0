/** Where a server listens, as configurations say it. */
import {optionalParsed} from './config-keys.ts'
import {type Ip, parseIp} from './ip.ts'

/** Where a server listens. */
export interface ListenAddress {
  /** Undefined: on every address. */
  readonly host?: Ip | 'localhost'
  /** TCP. */
  readonly port: number
}

/** Empty: nowhere. */
export const listenAddress = optionalParsed(parseListen, 'quoted')

/** A sentence part says what is wrong. */
function parseListen(text: string): ListenAddress | string {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  if (!match) return 'is not an address with a port; write it as ":9464", "127.0.0.1:9464" or "[::1]:9464"'
  const [, v6, other, digits] = match
  const port = Number(digits)
  if (port < 1 || port > 65535) return 'has a port outside 1 to 65535; choose a free TCP port'
  if (other === '') return {port}
  if (other === 'localhost') return {host: 'localhost', port}
  try {
    const host = parseIp(v6 ?? other!)
    if (host.family === (v6 === undefined ? 4 : 6)) return {host, port}
  } catch {}
  return 'does not name an IP address before its port; leave the address away to listen on all of them'
}
