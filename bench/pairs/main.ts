/** `npm run bench:pairs`: the door. */
import {join} from 'node:path'
import {atTheDoor, benchmark, print, tell} from '../benchmark.ts'
import {measureLatency} from './latency.ts'
import {measureMany} from './many.ts'
import {measureMove} from './move.ts'
import {type Options, type Part, parseOptions, USAGE} from './options.ts'
import {inSession, type Session} from './session.ts'
import {measureTraffic} from './traffic.ts'
import {measureVnis} from './vnis.ts'

const JSON_FILE = join(import.meta.dirname, '..', 'results', 'pairs.json')

/** Of parts that are measured with agents: whether with each of the stores. */
const WITH_AGENTS: readonly {
  readonly part: Part
  readonly everyStore: boolean
  readonly measure: (session: Session, options: Options) => Promise<void>
}[] = [
  {part: 'latency', everyStore: true, measure: (session, {edits}) => measureLatency(session, edits)},
  {part: 'many', everyStore: true, measure: (session, {pods}) => measureMany(session, pods)},
  {part: 'move', everyStore: true, measure: (session, {pods}) => measureMove(session, pods)},
  {part: 'traffic', everyStore: false, measure: (session, {seconds}) => measureTraffic(session, seconds)},
]

await atTheDoor(async args => {
  const options = parseOptions(args, JSON_FILE)
  if (options.help) return print(USAGE.trimEnd())
  const {parts, stores} = options
  await benchmark('pairs', options, async bench => {
    if (parts.has('vnis')) await measureVnis(bench, stores, options.cycles)
    const asked = WITH_AGENTS.filter(({part}) => parts.has(part))
    if (asked.length === 0) return
    await inSession(bench, options.pods, async session => {
      for (const store of stores) {
        const due = asked.filter(({everyStore}) => everyStore || store === stores[0])
        if (due.length === 0) continue
        await session.serve(store)
        for (const {part, measure} of due) {
          tell(`${part}, ${store}`)
          await measure(session, options)
        }
      }
    })
  })
})
