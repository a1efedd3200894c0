/**
 * A process of its own that outlives the lab: `node watchdog.ts <run id> <folder>`. When its standard input ends, since
 * the lab has closed it or has died in whatever way, it removes the run. Exit status 0: nothing is left.
 */
import {removeRun} from './clean.ts'

const [id, folder] = process.argv.slice(2)
if (!id || !folder) throw new Error('usage: watchdog.ts <run id> <folder>')

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGPIPE'] as const) process.on(signal, () => {})
process.stdin.resume().once('close', () => {
  removeRun(id, folder).catch(() => {
    process.exitCode = 1
  })
})
