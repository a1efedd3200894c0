import {readFile} from 'node:fs/promises'
import test from 'ava'
import {Terminal} from '../../scripts/terminal.ts'
import {terminalSvg} from '../../scripts/terminal-svg.ts'

const SVG = new URL('../../docs/images/lab.svg', import.meta.url)

const screenOf = (...pieces: string[]) => {
  const terminal = new Terminal(10)
  for (const piece of pieces) terminal.write(piece)
  return terminal.rows
}

const textOf = (rows: Terminal['rows']) => rows.map(row => row.map(({character}) => character).join(''))

test('what is drawn over and over in place is there once', t => {
  const first = '\u001b[?25lone\u001b[K\r\n\u001b[32mtwo\u001b[0m\u001b[K\r\nthree\u001b[K\r\n\u001b[J'
  const second = '\u001b[3A\rONE\u001b[K\r\nt\u001b[K\r\n\u001b[J\u001b[?25h'
  t.deepEqual(textOf(screenOf(first)), ['one', 'two', 'three', ''])
  t.deepEqual(textOf(screenOf(first, second)), ['ONE', 't', ''])
  // Wherever it is cut.
  const whole = first + second
  for (let at = 0; at < whole.length; at++)
    t.deepEqual(textOf(screenOf(whole.slice(0, at), whole.slice(at))), ['ONE', 't', ''])
})

test('a line that is as wide as the terminal stays one, a longer one goes on below', t => {
  t.deepEqual(textOf(screenOf('0123456789\r\nnext')), ['0123456789', 'next'])
  t.deepEqual(textOf(screenOf('0123456789abc\r\nnext')), ['0123456789', 'abc', 'next'])
})

test('what it does not know is told', t => {
  t.throws(() => screenOf('\u001b[2q'), {message: 'unknown sequence: 2q'})
  t.throws(() => screenOf(`\u001b${'x'.repeat(40)}`), {message: /^no sequence: /})
})

test('lines that stay stand once; the last screen is what is seen without animation', t => {
  const svg = terminalSvg(
    [
      {rows: screenOf('stays\r\ncomes <&>'), seconds: 1},
      {rows: screenOf('stays\r\n\u001b[31mgo\u001b[0m   es'), seconds: 3},
    ],
    10,
    'title',
  )
  t.is(svg.split('>stays<').length, 2)
  t.true(svg.includes('>comes &lt;&amp;&gt;<'))
  t.true(
    svg.includes('<tspan x="0" textLength="15.6" class="c31">go</tspan><tspan x="39" textLength="15.6">es</tspan>'),
  )
  t.true(svg.includes('.s0-0{visibility:hidden;animation:s0-0 4s'))
  t.true(svg.includes('.s1-1{animation:s1-1 4s'))
  t.true(svg.includes('@keyframes s1-1{0%{visibility:hidden}25.0%{visibility:visible}'))
})

test('the picture in README.md is small and needs nothing from elsewhere', async t => {
  const svg = await readFile(SVG, 'utf8')
  t.true(Buffer.byteLength(svg) <= 60 * 1024)
  t.notRegex(svg, /<script|<image|@import|@font-face|url\(|href=/)
  t.true(svg.includes('cleaned up'))
})
