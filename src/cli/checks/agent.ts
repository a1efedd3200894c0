/** What the agent says of itself: whether all of it works, and what it cannot do. */
import type {AdminStatus} from '../../model/admin.ts'
import {plural} from '../../model/text.ts'
import {type Check, failed, ok, warning} from './check.ts'

/** Sentences of one network. */
const MANY = 5

export function checkAgent(status: AdminStatus, version: string): Check[] {
  const unready = status.conditions.filter(({ready}) => !ready)
  const {pairs, store} = status
  return [
    status.version === version
      ? ok('agent', `version ${version} answers`)
      : warning(
          'agent',
          `version ${status.version} runs, and this program is ${version}; restart the agent, or use its own program`,
        ),
    ...unready.map(({name, reason = 'it is not ready'}) => failed(`agent: ${name}`, reason)),
    ...(unready.length === 0 ? [ok('agent: ready', 'every part of it works')] : []),
    ...status.networks.flatMap(({network, problems, conflicts, refused}) => {
      const title = `network ${network}`
      const more = problems.length - MANY
      return [
        ...problems.slice(0, MANY).map(problem => warning(title, problem)),
        ...(more > 0 ? [warning(title, `${more} more problems; see netgraft status`)] : []),
        ...(conflicts > 0
          ? [
              warning(
                title,
                `${plural(conflicts, 'route')} of somebody else's where ours should stand; see netgraft routes`,
              ),
            ]
          : []),
        ...(refused > 0
          ? [failed(title, `the kernel has refused ${plural(refused, 'change')}; see netgraft plan`)]
          : []),
      ]
    }),
    ...(store.ready === undefined
      ? []
      : [
          store.reason === undefined
            ? ok('store', `${store.type} answers`)
            : failed('store', `${store.reason}; look at the ${store.type} store`),
        ]),
    ...(pairs && pairs.failed + pairs.contradiction > 0
      ? [
          warning(
            'pairs',
            `${pairs.failed + pairs.contradiction} of the pairs' ends are not as pods ask for them; see netgraft pairs`,
          ),
        ]
      : []),
  ]
}
