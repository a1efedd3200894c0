/** `netgraft attachments` for people. Pure. */
import type {AdminAttachment, AdminAttachments} from '../../model/admin.ts'
import type {Line} from '../../model/text.ts'
import {ageOf, type Cell, stateCell, styled, tableOf} from './text.ts'

/** Characters of a container's id, as runtimes' own tools show them. */
const ID = 13

/** `now`: milliseconds since the epoch. */
export const formatAttachments = ({attachments, unknown}: AdminAttachments, now: number): readonly Line[] =>
  unknown === undefined
    ? attachmentTable(attachments, now, 'no attachments')
    : [styled(`the journal is not known: ${unknown}`, 'bad')]

export const attachmentTable = (list: readonly AdminAttachment[], now: number, none: string): readonly Line[] =>
  tableOf(
    ['POD', 'INTERFACE', 'NETWORK', 'TYPE', 'ADDRESSES', 'STATE', 'SINCE', 'TROUBLE'],
    list.map(each => rowOf(each, now)),
    none,
  )

const rowOf = (each: AdminAttachment, now: number): readonly Cell[] => [
  each.pod ?? (each.container === undefined ? '-' : `container ${each.container.slice(0, ID)}`),
  each.interface ?? '-',
  each.network || '-',
  each.types.join(',') || '-',
  each.addresses.join(' ') || '-',
  stateCell(each.state),
  ageOf(each.since, now) || '-',
  each.trouble ?? '',
]
