/** Routing policy rules: RTM_*RULE, struct fib_rule_hdr, FRA_*. linux/fib_rules.h. */
import {Cidr, type Family, hostLength, type Ip} from '../model/ip.ts'
import type {Rule} from '../model/net.ts'
import {AF, familyOf} from './families.ts'
import {attributes, NLM_F, present, read} from './message.ts'
import type {Dump, Request} from './request.ts'

export const RTM_NEWRULE = 32
export const RTM_DELRULE = 33
const RTM_GETRULE = 34

const FRA = {
  DST: 1,
  SRC: 2,
  IIFNAME: 3,
  PRIORITY: 6,
  FWMARK: 10,
  TABLE: 15,
  FWMASK: 16,
  OIFNAME: 17,
  PROTOCOL: 21,
} as const
const FR_ACT_TO_TBL = 1
/** FIB_RULE_INVERT: "not from …". */
const INVERT = 2
const BODY_BYTES = 12

/** Like `ip rule add`. */
export const addRule = (rule: Rule): Request => change('add', RTM_NEWRULE, NLM_F.CREATE | NLM_F.EXCL, rule)

/** Like `ip rule del`. */
export const deleteRule = (rule: Rule): Request => change('del', RTM_DELRULE, 0, rule)

function change(verb: string, type: number, flags: number, rule: Rule): Request {
  return {
    type,
    flags,
    describe: () => `rule ${verb} pref ${rule.priority} lookup ${rule.table}`,
    encode: to => {
      to.u8(AF[rule.family])
        .u8(rule.to?.length ?? 0)
        .u8(rule.from?.length ?? 0)
        .u8(0)
      to.u8(rule.table > 255 ? 0 : rule.table)
        .u8(0)
        .u8(0)
        .u8(FR_ACT_TO_TBL)
        .u32(0)
      to.attribute(FRA.PRIORITY, 4, rule.priority).attribute(FRA.TABLE, 4, rule.table)
      to.attribute(FRA.PROTOCOL, 1, rule.protocol)
      if (rule.to) to.ipAttribute(FRA.DST, rule.to.address)
      if (rule.from) to.ipAttribute(FRA.SRC, rule.from.address)
      if (rule.iif !== undefined) to.textAttribute(FRA.IIFNAME, rule.iif)
      if (rule.oif !== undefined) to.textAttribute(FRA.OIFNAME, rule.oif)
      if (rule.fwmark !== undefined) to.attribute(FRA.FWMARK, 4, rule.fwmark)
      if (rule.fwmask !== undefined) to.attribute(FRA.FWMASK, 4, rule.fwmask)
    },
  }
}

/** Like `ip rule show`. */
export function dumpRules(family: Family): Dump<Rule> {
  return {
    type: RTM_GETRULE,
    flags: NLM_F.DUMP,
    describe: () => 'rule show',
    encode: to => to.u8(AF[family]).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u32(0),
    answer: RTM_NEWRULE,
    decode: decodeRule,
  }
}

export function decodeRule(body: Buffer): Rule | undefined {
  const family = body.length >= BODY_BYTES ? familyOf(body[0]!) : undefined
  if (!family || body[1]! > hostLength(family) || body[2]! > hostLength(family)) return undefined
  // What Rule cannot say (goto, blackhole, not …) must not be read as a lookup.
  if (body[7] !== FR_ACT_TO_TBL || body.readUInt32LE(8) & INVERT) return undefined
  const rule: {-readonly [K in keyof Rule]: Rule[K] | undefined} = {
    family,
    priority: 0,
    table: body[4]!,
    protocol: 0,
    from: undefined,
    to: undefined,
    iif: undefined,
    oif: undefined,
    fwmark: undefined,
    fwmask: undefined,
  }
  const cidr = (ip: Ip | undefined, length: number) => (ip?.family === family ? new Cidr(ip, length) : undefined)
  attributes(body, BODY_BYTES, (type, payload) => {
    if (type === FRA.PRIORITY) rule.priority = read.u32(payload) ?? 0
    else if (type === FRA.TABLE) rule.table = read.u32(payload) ?? 0
    else if (type === FRA.PROTOCOL) rule.protocol = read.u8(payload) ?? 0
    else if (type === FRA.DST) rule.to = cidr(read.ip(payload), body[1]!)
    else if (type === FRA.SRC) rule.from = cidr(read.ip(payload), body[2]!)
    else if (type === FRA.IIFNAME) rule.iif = read.text(payload)
    else if (type === FRA.OIFNAME) rule.oif = read.text(payload)
    else if (type === FRA.FWMARK) rule.fwmark = read.u32(payload)
    else if (type === FRA.FWMASK) rule.fwmask = read.u32(payload)
  })
  return present<Rule>(rule as Rule)
}
