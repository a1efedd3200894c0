/** `netgraft pairs` for people. Pure. */
import type {AdminPairEnd, AdminPairs} from '../../model/admin.ts'
import type {Line} from '../../model/text.ts'
import {type Cell, stateCell, styled, tableOf} from './text.ts'

export const formatPairs = ({ends, unknown}: AdminPairs): readonly Line[] => [
  ...(unknown === undefined ? [] : [styled(`not all is known: ${unknown}`, 'warn')]),
  ...pairTable(ends, 'no pairs'),
]

export const pairTable = (ends: readonly AdminPairEnd[], none: string): readonly Line[] =>
  tableOf(
    ['POD', 'INTERFACE', 'PEER', 'ON', 'KIND', 'VNI', 'MTU', 'ADDRESSES', 'STATE', 'REASON'],
    ends.map(rowOf),
    none,
  )

const rowOf = (end: AdminPairEnd): readonly Cell[] => [
  end.pod,
  end.interface ?? '-',
  end.peer ?? '-',
  end.peerNode ?? '-',
  end.kind ?? '-',
  `${end.vni ?? '-'}`,
  `${end.mtu ?? '-'}`,
  end.addresses.join(' ') || '-',
  stateCell(end.state),
  end.reason ?? '',
]
