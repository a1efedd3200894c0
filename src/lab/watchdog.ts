/**
 * A process of its own that outlives the lab: `node watchdog.ts <run id> <folder>`. When its standard input ends, since
 * the lab has closed it or has died in whatever way, it removes the run. Exit status 0: nothing is left.
 */
import {removeRun} from './clean.ts'

const [id, folder] = process.argv.slice(2)
if (!id || !folder) throw new Error('usage: watchdog.ts <run id> <folder>')

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGPIPE'] as const) process.on(signal, () => {})
process.stderr.on('error', () => {})

process.stdin.resume().once('close', async () => {
  try {
    await removeRun(id, folder)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exitCode = 1
  }
})
