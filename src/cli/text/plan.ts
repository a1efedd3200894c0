/** `netgraft plan` for people. Pure. */
import type {AdminNetworkPlan, AdminPlan} from '../../model/admin.ts'
import type {Line} from '../../model/text.ts'
import {attachmentTable} from './attachments.ts'
import {pairTable} from './pairs.ts'
import {EMPTY, styled, tableOf} from './text.ts'

/** `now`: milliseconds since the epoch. */
export const formatPlan = ({networks, attachments, pairs}: AdminPlan, now: number): readonly Line[] => [
  ...networks.flatMap(each => [...networkLines(each), EMPTY]),
  styled("Pods' networks", 'bold'),
  ...attachmentTable(attachments, now, 'all are as they are asked for'),
  EMPTY,
  styled('Pairs', 'bold'),
  ...pairTable(pairs, 'all are up'),
]

const networkLines = ({network, changes, conflicts, heldBack}: AdminNetworkPlan): readonly Line[] => [
  styled(`Network ${network}`, 'bold'),
  ...(heldBack === undefined ? [] : [styled(`held back: ${heldBack}`, 'warn')]),
  ...tableOf(
    ['CHANGE', 'WHY'],
    changes.map(({change, why}) => [change, why]),
    'nothing is to be written',
  ),
  ...conflicts.map(text => styled(`left alone: ${text}`, 'warn')),
]
