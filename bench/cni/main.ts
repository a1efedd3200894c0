/** `npm run bench:cni`: the door. */
import {join} from 'node:path'
import {atTheDoor, benchmark, print, tell} from '../benchmark.ts'
import {measureBurst} from './burst.ts'
import {measureFloor} from './floor.ts'
import {measureFootprint} from './footprint.ts'
import {measureLatency} from './latency.ts'
import {measureLoop} from './loop.ts'
import {PARTS, type Part, parseOptions, USAGE} from './options.ts'
import {measureScale} from './scale.ts'
import {inSession, type Session} from './session.ts'

const JSON_FILE = join(import.meta.dirname, '..', 'results', 'cni.json')
const AT_ONCE = 8

const MEASURES: Readonly<Record<Part, (session: Session) => Promise<void>>> = {
  floor: measureFloor,
  serial: session => measureLatency(session, 'one at a time', 1),
  parallel: session => measureLatency(session, `${AT_ONCE} at once`, AT_ONCE),
  burst: measureBurst,
  scale: measureScale,
  footprint: measureFootprint,
  loop: measureLoop,
}

await atTheDoor(async args => {
  const options = parseOptions(args, JSON_FILE)
  if (options.help) return print(USAGE.trimEnd())
  await benchmark('cni', options, bench =>
    inSession(bench, options.pods, async session => {
      for (const part of PARTS) {
        if (!options.parts.has(part)) continue
        tell(part)
        await MEASURES[part](session)
      }
    }),
  )
})
