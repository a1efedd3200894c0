/** `node --import 'loop-preload.ts?file=…' program`: writes the program's turns of the event loop to the file when it ends. */
import {writeFileSync} from 'node:fs'
import {LoopProbe} from './loop-probe.ts'

const file = new URL(import.meta.url).searchParams.get('file')!
const probe = new LoopProbe()
process.on('exit', () => writeFileSync(file, JSON.stringify({timeOrigin: performance.timeOrigin, turns: probe.stop()})))
