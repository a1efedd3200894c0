/** What a log has last said. */
import test from 'ava'
import {createLogger} from '../../src/observe/log.ts'
import {createRecent} from '../../src/observe/recent.ts'

test('the last lines, and warnings that are older, each once and in order', t => {
  const recent = createRecent()
  recent.add('{"level":"warn","msg":"first"}\n')
  for (let i = 0; i < 1000; i++) recent.add(`{"level":"info","msg":"${i}"}\n`)
  recent.add('{"level":"error","msg":"last"}\n')
  const lines = recent.lines()
  t.deepEqual(
    [lines.length, lines[0], lines[1], lines.at(-1)],
    [201, '{"level":"warn","msg":"first"}', '{"level":"info","msg":"801"}', '{"level":"error","msg":"last"}'],
  )
  for (let i = 0; i < 1000; i++) recent.add(`{"level":"warn","msg":"${'x'.repeat(3000)}"}\n`)
  t.is(recent.lines().length, 200)
  t.is(recent.lines()[0]!.length, 2001)
})

test('of the log itself, as it was written', t => {
  const written: string[] = []
  const log = createLogger({level: 'info', destination: {write: line => void written.push(line.trimEnd())}})
  log.debug('not written')
  log.info('one', {a: 1})
  log.warn('two')
  t.is(written.length, 2)
  t.deepEqual(log.recent(), written)
  log.close()
})
