/**
 * `node pass-process.ts <nodes> <backend> <namespace> [<file for the messages>]`: one pass in a process of its own, which
 * finds code that has never run, as in an agent that starts. Prints what was measured as JSON.
 */
import {writeFileSync} from 'node:fs'
import type {Backend} from '../cluster.ts'
import {factsOf} from '../cluster.ts'
import {measurePass} from './pass.ts'

const [nodes, backend, netns, file] = process.argv.slice(2)
const facts = factsOf(Number(nodes), backend as Backend)
const {measure, messages} = await measurePass(netns!, facts, backend as Backend)
if (file) writeFileSync(file, messages)
process.stdout.write(JSON.stringify(measure))
