/** What the agent says of itself: as JSON for programs, and as the verbs show it. */
import {adminSocketPath} from '../../agent/cni-folders.ts'
import type {AdminAnswers} from '../../model/admin.ts'
import type {Config} from '../../model/config.ts'
import type {Line} from '../../model/text.ts'
import {ask} from '../ask.ts'
import {formatAttachments} from '../text/attachments.ts'
import {formatPairs} from '../text/pairs.ts'
import {formatPlan} from '../text/plan.ts'
import {formatRoutes} from '../text/routes.ts'
import {formatStatus} from '../text/status.ts'
import {render} from '../text/text.ts'
import type {Parts} from './parts.ts'

export function agentParts(config: Config): Parts {
  const asked = <K extends keyof AdminAnswers>(what: K): Promise<AdminAnswers[K]> => ask(adminSocketPath(config), what)
  /** Asked once, shown twice. */
  const view = <K extends 'status' | 'routes' | 'attachments' | 'pairs' | 'plan'>(
    what: K,
    format: (answer: AdminAnswers[K], now: number) => readonly Line[],
  ): Parts => {
    let answer: Promise<AdminAnswers[K]> | undefined
    const once = () => (answer ??= asked(what))
    return {
      [`${what}.json`]: once,
      [`${what}.txt`]: async () => render(format(await once(), Date.now()), false),
    }
  }
  return {
    ...view('status', formatStatus),
    ...view('routes', formatRoutes),
    ...view('attachments', formatAttachments),
    ...view('pairs', formatPairs),
    ...view('plan', formatPlan),
    'nodes.json': () => asked('nodes'),
    'metrics.txt': async () => (await asked('metrics')).text,
    'log.txt': async () => (await asked('log')).lines.map(line => `${line}\n`).join(''),
    'config-in-force.json': async () => (await asked('config')).config,
  }
}
