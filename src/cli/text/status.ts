/** `netgraft status` for people. Pure. */
import type {
  AdminApi,
  AdminCni,
  AdminNetworkStatus,
  AdminPairCounts,
  AdminStatus,
  AdminStore,
} from '../../model/admin.ts'
import {type Line, plural} from '../../model/text.ts'
import {ageOf, type Cell, EMPTY, plain, stateCell, styled, tableOf} from './text.ts'

/** `now`: milliseconds since the epoch. */
export function formatStatus(status: AdminStatus, now: number): readonly Line[] {
  const {version, node, ready, startedAt, pid, conditions, networks} = status
  const where = node === undefined ? 'on a node that is not known yet' : `on node ${node}`
  const unready = conditions.filter(each => !each.ready)
  const problems = networks.flatMap(({network, problems: list, broken}) => [
    ...(broken === undefined ? [] : [`${network}: the last pass broke: ${broken}`]),
    ...list.map(problem => `${network}: ${problem}`),
  ])
  return [
    [
      {text: `netgraft ${version} ${where}: `},
      stateCell(ready ? 'ready' : 'not ready'),
      {text: `, up for ${ageOf(startedAt, now)}, pid ${pid}`},
    ],
    ...unready.map(({name, reason = 'not ready'}) => styled(`  ${name}: ${reason}`, 'bad')),
    EMPTY,
    ...tableOf(
      ['PART', 'NOW'],
      [
        ['API server', apiText(status.api, now)],
        ['store', storeText(status.store)],
        ['CNI', cniText(status.cni)],
        ['pairs', pairsText(status.pairs)],
      ],
      '',
    ),
    EMPTY,
    ...tableOf(
      ['NETWORK', 'BACKEND', 'PEERS', 'IPV4', 'IPV6', 'MTU', 'CONFLICTS', 'REFUSED', 'PASS', 'OWN RANGES'],
      networks.map(each => networkRow(each, now)),
      'no networks',
    ),
    ...(problems.length > 0 ? [EMPTY, styled('PROBLEMS', 'bold'), ...problems.map(text => plain(text))] : []),
  ]
}

function networkRow(each: AdminNetworkStatus, now: number): readonly Cell[] {
  const {network, backend, peers, routes, ranges, mtu, conflicts, refused, passedAt} = each
  const bad = (count: number): Cell => (count > 0 ? {text: `${count}`, style: 'bad'} : '0')
  const age = ageOf(passedAt, now)
  return [
    ...[network, backend, `${peers}`, `${routes.ipv4}`, `${routes.ipv6}`],
    [mtu.ipv4, mtu.ipv6].map(bytes => bytes ?? '-').join('/'),
    bad(conflicts),
    bad(refused),
    age === '' ? 'none yet' : `${age} ago`,
    ranges.join(' ') || '-',
  ]
}

function apiText({heardAt, trouble, savedAt}: AdminApi, now: number): Cell {
  const heard = heardAt === undefined ? 'not heard of yet' : `heard of ${ageOf(heardAt, now)} ago`
  const saved = savedAt === undefined ? [] : [`nodes are those written to disk ${ageOf(savedAt, now)} ago`]
  const text = [heard, ...saved, ...(trouble === undefined ? [] : [trouble])].join('; ')
  return heardAt === undefined || trouble !== undefined ? {text, style: 'bad'} : text
}

function storeText({type, ready, reason}: AdminStore): Cell {
  if (ready === undefined) return `${type}: not used`
  if (reason === undefined) return `${type}: known`
  return {text: `${type}: ${reason}`, style: 'bad'}
}

function cniText(cni: AdminCni | undefined): Cell {
  if (!cni) return {text: 'not open yet', style: 'bad'}
  const {requests, spooled, journal} = cni
  const {added, adding, deleting} = journal
  return `${plural(requests, 'request')} under way, ${plural(spooled, 'DEL')} to be caught up with; journal: ${added} attached, ${adding} adding, ${deleting} deleting`
}

function pairsText(counts: AdminPairCounts | undefined): Cell {
  if (!counts) return 'not served'
  const some = Object.entries(counts).filter(([, count]) => count > 0)
  const text = some.map(([state, count]) => `${count} ${state}`).join(', ')
  return counts.failed + counts.contradiction > 0 ? {text, style: 'bad'} : text || 'none'
}
