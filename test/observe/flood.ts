/** Run as a process: logs far more than a pipe holds, then tells on stderr how long the event loop stood still. */
import {monitorEventLoopDelay} from 'node:perf_hooks'
import {setTimeout as sleep} from 'node:timers/promises'
import {createLogger} from '../../src/observe/log.ts'

const [, , lines = '1000', ending = 'exit'] = process.argv
const delay = monitorEventLoopDelay({resolution: 1})
const log = createLogger({level: 'debug'})
delay.enable()
for (let i = 0; i < Number(lines); i++) {
  log.debug('flood', {i, filler: 'x'.repeat(200)})
  if (i % 100 === 0) await sleep(1)
}
process.stderr.write(`${JSON.stringify({blocked: delay.max / 1e6, rss: process.memoryUsage().rss / 2 ** 20})}\n`)
if (ending === 'fatal') {
  log.fatal('the end')
  process.kill(process.pid, 'SIGKILL')
}
if (ending === 'throw') throw new Error('uncaught')
if (ending === 'exit') process.exit(0)
