/** `npm run lab`: the door. Exit status: 0 all is well, 1 something failed, 2 the command line is wrong, 130 interrupted. */

import {paint, plural} from '../model/text.ts'
import {sleep} from '../streams/lifetime.ts'
import {check, type Shows, type Verdict} from './check.ts'
import {type Step, showExample} from './example.ts'
import {ATTACHMENTS} from './example-attachments.ts'
import {PAIRS} from './example-pairs.ts'
import {type Lab, type LabEvent, startLab} from './lab.ts'
import {type LabArguments, parseArguments, USAGE, UsageError} from './options.ts'
import {eventLine, kubectlLine, picture, stepLine} from './picture.ts'
import {LeftBehind} from './run.ts'
import {Screen} from './screen.ts'

/** Milliseconds. */
const REDRAW = 200
/** Milliseconds between two rounds of pings at least; longer where a round itself takes long. */
const PING_PAUSE = 3_000
const READY_PATIENCE = 60_000

async function main(args: string[]): Promise<number> {
  const options = parseArguments(args)
  if (options.help) {
    print(USAGE.trimEnd())
    return 0
  }
  if (process.getuid?.() !== 0) throw new Error('the lab makes network namespaces: run it as root')
  const stop = stopSignal()
  const colour = process.stdout.isTTY && !process.env.NO_COLOR
  const screen = process.stdout.isTTY ? new Screen(process.stdout, colour) : undefined
  const tell = (event: LabEvent) => {
    if (!screen) print(paint(eventLine(event), colour))
  }
  const assets = process.env.KUBEBUILDER_ASSETS || undefined
  try {
    const lab = await startLab({...options, assets, tell, signal: stop})
    return await present(lab, options, screen, stop)
  } catch (error) {
    if (!stop.aborted || error instanceof LeftBehind) throw error
    print('interrupted; cleaned up')
    return options.once ? 130 : 0
  }
}

/** From the lab's start to its end. */
async function present(
  lab: Lab,
  {once, attachments, pairs}: LabArguments,
  screen: Screen | undefined,
  stop: AbortSignal,
): Promise<number> {
  const drawing = screen && setInterval(() => screen.draw(picture(lab, screen.columns, screen.rows)), REDRAW)
  let verdict: Verdict | undefined
  try {
    if (!screen) print(kubectlLine(lab))
    const tell = (step: Step) => {
      if (!screen) print(`${clock(lab)} ${paint(stepLine(step), false)}`)
    }
    const stories = [...(attachments ? [ATTACHMENTS] : []), ...(pairs ? [PAIRS] : [])]
    const shows = stories.map(story => () => showExample(lab, story, {remove: once, signal: stop, tell}))
    if (once) verdict = await check(lab, shows)
    else await live(lab, shows, screen === undefined, stop)
  } finally {
    clearInterval(drawing)
    screen?.draw(picture(lab, screen.columns, screen.rows))
    screen?.leave()
    if (verdict && verdict.failures.length > 0 && !stop.aborted) await explain(lab, verdict)
    if (!once) print('removing the lab')
    await lab.stop()
  }
  if (stop.aborted) print(once ? 'interrupted; cleaned up' : 'cleaned up')
  else if (verdict) print(`${verdict.summary}; cleaned up`)
  if (stop.aborted) return once ? 130 : 0
  return verdict && verdict.failures.length > 0 ? 1 : 0
}

/** Until it is stopped: pings everybody, again and again; the examples come after the first time. */
async function live(lab: Lab, shows: readonly Shows[], inLines: boolean, stop: AbortSignal): Promise<void> {
  const left = [...shows]
  await lab.ready(READY_PATIENCE).catch(() => {})
  let said = ''
  while (!stop.aborted) {
    const began = performance.now()
    const results = await lab.pingAll()
    const silent = results.filter(({ms}) => ms === undefined)
    const example = silent[0] ? `, none from ${silent[0].from.name} to ${silent[0].address}` : ''
    const news = `${results.length - silent.length} of ${plural(results.length, 'ping')} answered${example}`
    if (inLines && news !== said && !stop.aborted) print(paint(eventLine({at: lab.elapsed, text: news}), false))
    said = news
    for (const show of left.splice(0)) {
      if (stop.aborted) break
      const {hint} = await show()
      if (hint && inLines) print(kubectlLine(lab, hint))
    }
    await sleep(Math.max(PING_PAUSE, 2 * (performance.now() - began)), stop)
  }
}

/** Before the logs are removed. */
async function explain(lab: Lab, {failures, suspects}: Verdict): Promise<void> {
  for (const failure of failures) complain(failure)
  for (const node of lab.nodes.filter(({name}) => suspects.includes(name)).slice(0, 3)) {
    complain(`the end of the log of ${node.name}'s agent:`)
    process.stderr.write(`${await node.agent.tail()}\n`)
  }
}

/** The first signal stops in an orderly way, a second one at once: the watchdog removes what is there. */
function stopSignal(): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(130)
      stop.abort()
    })
  }
  // Nobody reads any more.
  process.stdout.on('error', () => stop.abort())
  process.stderr.on('error', () => stop.abort())
  return stop.signal
}

const clock = (lab: Lab): string => paint(eventLine({at: lab.elapsed, text: ''}), false)

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function complain(line: string): void {
  process.stderr.write(`lab: ${line}\n`)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  complain((error as Error).message)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
