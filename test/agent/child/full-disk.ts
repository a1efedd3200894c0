/** Run in a mount namespace of its own: saves on a disk that is small, full, read-only, and well again. Prints what it told. */
import {execFileSync} from 'node:child_process'
import {rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {SavedNodes} from '../../../src/agent/saved-nodes.ts'
import type {NodeFacts, NodeName} from '../../../src/model/facts.ts'
import {createMetrics} from '../../../src/observe/metrics.ts'

const [, , disk = ''] = process.argv
const told: string[] = []
const tell = (message: string, fields: {code?: unknown} = {}) => told.push(`${message} ${fields.code ?? ''}`.trim())
const quiet = () => {}
const log = {trace: quiet, debug: quiet, info: tell, warn: tell, error: tell, fatal: tell, child: () => log}
const metrics = createMetrics({version: ''})
const saved = new SavedNodes({folder: join(disk, 'state'), cluster: () => 'c', log, metrics})

let machine = 0
async function save(what: string): Promise<void> {
  const facts = {name: 'a' as NodeName, machineId: `${++machine}`, createdAt: 0}
  const nodes: NodeFacts[] = [{...facts, podCIDRs: [], addresses: [], vteps: [], problems: []}]
  told.push(`${what}: ${await saved.save(new Map(nodes.map(node => [node.name, node])))}`)
}
const mount = (...words: string[]) => execFileSync('mount', [...words, disk])

mount('-t', 'tmpfs', '-o', 'size=64k', 'tmpfs')
const filler = join(disk, 'filler')
const fill = () => {
  try {
    writeFileSync(filler, Buffer.alloc(1 << 20))
  } catch {}
}
await save('a disk')
fill()
await save('full')
await save('still full')
rmSync(filler)
await save('with room')
mount('-o', 'remount,ro')
await save('read-only')
mount('-o', 'remount,rw')
await save('writable')
const {body} = await metrics.expose()
told.push(...body.split('\n').filter(line => line.startsWith('netgraft_snapshot_errors_total')))
process.stdout.write(`${JSON.stringify(told)}\n`)
