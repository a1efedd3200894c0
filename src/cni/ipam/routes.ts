/** The `routes` of an IPAM section: handed on as they are, in canonical spelling. */
import type {CniRoute} from '../result.ts'
import {addressOf, formatPrefixed, prefixedOf} from './address.ts'
import {isObject, listOf, objectOf, onlyKeys} from './json.ts'

const KEYS = new Set(['dst', 'gw'])

/** Throws CniError. */
export const routesOf = (value: unknown): CniRoute[] =>
  listOf(value, 'ipam.routes').map((item, i) => {
    const where = `ipam.routes[${i}]`
    const route = objectOf(item, where)
    const gw = addressOf(route.gw, `${where}.gw`)
    return {dst: formatPrefixed(prefixedOf(route.dst, `${where}.dst`)), ...(gw && {gw: `${gw}`})}
  })

/** Newer plugins take more keys: what becomes of them is up to the program on the node. */
export const knowsRoutes = (value: unknown): boolean =>
  !Array.isArray(value) || value.every(route => isObject(route) && onlyKeys(route, KEYS))
