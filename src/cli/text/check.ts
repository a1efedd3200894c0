/** `netgraft check` for people. Pure. */
import {type Line, plural} from '../../model/text.ts'
import type {Check} from '../checks/check.ts'
import {EMPTY, stateCell, styled, tableOf} from './text.ts'

export function formatChecks(checks: readonly Check[]): readonly Line[] {
  const count = (state: Check['state']) => checks.filter(each => each.state === state).length
  const [failed, warnings] = [count('failed'), count('warning')]
  return [
    ...tableOf(
      ['STATE', 'WHAT', 'FOUND'],
      checks.map(({state, name, says}) => [stateCell(state), name, says]),
      'nothing was checked',
    ),
    EMPTY,
    styled(
      `${plural(checks.length, 'check')}: ${failed} failed, ${plural(warnings, 'warning')}`,
      failed ? 'bad' : 'good',
    ),
  ]
}
