/** Numbers that several objects share. linux/socket.h, linux/rtnetlink.h. */
import type {Family} from '../model/ip.ts'
import type {Scope} from '../model/net.ts'

/** AF_INET, AF_INET6. */
export const AF: Readonly<Record<Family, number>> = {4: 2, 6: 10}
export const AF_BRIDGE = 7

export const familyOf = (af: number): Family | undefined => (af === AF[4] ? 4 : af === AF[6] ? 6 : undefined)

/** RT_SCOPE_*. */
const SCOPES: Readonly<Record<Scope, number>> = {global: 0, site: 200, link: 253, host: 254, nowhere: 255}

export const scopeNumber = (scope: Scope): number => SCOPES[scope]

/** Numbers between the named ones are the user's own realms of "site". */
export const scopeName = (scope: number): Scope =>
  (Object.keys(SCOPES) as Scope[]).find(name => SCOPES[name] === scope) ?? 'site'
