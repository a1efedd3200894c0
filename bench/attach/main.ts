/** `npm run bench:attach`: the door. */
import {join} from 'node:path'
import {atTheDoor, benchmark, print, tell} from '../benchmark.ts'
import {measureHot} from './hot.ts'
import {type Options, PARTS, type Part, parseOptions, USAGE} from './options.ts'
import {inSession, type Session} from './session.ts'
import {measureStart} from './start.ts'
import {measureStorm} from './storm.ts'

const JSON_FILE = join(import.meta.dirname, '..', 'results', 'attach.json')

const MEASURES: Readonly<Record<Part, (session: Session, options: Options) => Promise<void>>> = {
  start: session => measureStart(session),
  hot: (session, {pods, edits}) => measureHot(session, pods, edits),
  storm: (session, {pods, seconds}) => measureStorm(session, pods, seconds),
}

await atTheDoor(async args => {
  const options = parseOptions(args, JSON_FILE)
  if (options.help) return print(USAGE.trimEnd())
  await benchmark('attach', options, bench =>
    inSession(bench, options.pods, async session => {
      for (const part of PARTS) {
        if (!options.parts.has(part)) continue
        tell(part)
        await MEASURES[part](session, options)
      }
    }),
  )
})
