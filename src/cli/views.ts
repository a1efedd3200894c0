/** The verbs that show what the agent knows. */
import {existsSync} from 'node:fs'
import {adminSocketPath} from '../agent/cni-folders.ts'
import {readConfig} from '../agent/config.ts'
import type {AdminAnswers} from '../model/admin.ts'
import {type Config, parseConfig} from '../model/config.ts'
import type {Line} from '../model/text.ts'
import {whyAbsent} from './absent.ts'
import {ask} from './ask.ts'
import {options, UsageError} from './options.ts'
import {formatAttachments} from './text/attachments.ts'
import {formatExplanation} from './text/explain.ts'
import {formatPairs} from './text/pairs.ts'
import {formatPlan} from './text/plan.ts'
import {formatRoutes} from './text/routes.ts'
import {formatStatus} from './text/status.ts'
import {render} from './text/text.ts'

/** Where the manifests put it: so nobody has to name it in the agent's own container. */
const MOUNTED = '/etc/netgraft/config/config.yaml'

export interface Screen {
  readonly print: (text: string) => void
  readonly colour: boolean
}

export const VIEW_OPTIONS = {config: {type: 'string'}, output: {type: 'string', short: 'o'}} as const

export interface ViewValues {
  readonly config?: string | undefined
  readonly output?: string | undefined
}

/** That of the file, or of {@link MOUNTED} if it is there, or all defaults. Throws ConfigError. */
export async function configOf({config}: ViewValues): Promise<Config> {
  const file = config ?? (existsSync(MOUNTED) ? MOUNTED : undefined)
  return file === undefined ? parseConfig({}) : readConfig(file)
}

/** Throws {@link UsageError}. */
export function isJson({output = 'table'}: ViewValues): boolean {
  if (output !== 'json' && output !== 'table') throw new UsageError(`there is no output "${output}"; use json or table`)
  return output === 'json'
}

export function show(answer: unknown, lines: () => readonly Line[], json: boolean, {print, colour}: Screen): void {
  print(json ? `${JSON.stringify(answer, null, 2)}\n` : render(lines(), colour))
}

type Verb = (args: string[], screen: Screen) => Promise<number>

const view =
  <K extends 'status' | 'routes' | 'attachments' | 'pairs' | 'plan'>(
    what: K,
    format: (answer: AdminAnswers[K], now: number) => readonly Line[],
  ): Verb =>
  async (args, screen) => {
    const {values} = options(args, VIEW_OPTIONS, 0)
    const json = isJson(values)
    const config = await configOf(values)
    const answer = await ask(adminSocketPath(config), what).catch(whyAbsent(config))
    show(answer, () => format(answer, Date.now()), json, screen)
    return 0
  }

export const VIEWS: Readonly<Record<string, Verb>> = {
  status: view('status', formatStatus),
  routes: view('routes', formatRoutes),
  attachments: view('attachments', formatAttachments),
  pairs: view('pairs', formatPairs),
  plan: view('plan', formatPlan),
  explain: async (args, screen) => {
    const {values, positionals} = options(args, VIEW_OPTIONS, 1)
    const json = isJson(values)
    const config = await configOf(values)
    const subject = {subject: positionals[0]!}
    const answer = await ask(adminSocketPath(config), 'explain', subject).catch(whyAbsent(config))
    show(answer, () => formatExplanation(answer), json, screen)
    return answer.known ? 0 : 1
  },
}
