import {Ip} from '../../model/ip.ts'
import type {Mac} from '../../model/net.ts'

/** The address that an interface gives itself by its MAC: fe80::/64 and the modified EUI-64. RFC 4291, appendix A. */
export function linkLocal(mac: Mac): Ip {
  const [a = 0, b = 0, c = 0, ...rest] = mac.split(':').map(byte => Number.parseInt(byte, 16))
  return new Ip(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, ...rest))
}
