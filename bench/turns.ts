/** The turns of the event loop of another program: asked for at its start, read after its end. */
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import type {Turn} from './loop-probe.ts'

/** Flags of node. */
export function watchTurns(file: string): string[] {
  const probe = pathToFileURL(join(import.meta.dirname, 'loop-preload.ts'))
  probe.searchParams.set('file', file)
  return ['--import', `${probe}`]
}

/** `at`: milliseconds since the epoch. */
export async function readTurns(file: string): Promise<Turn[]> {
  const {timeOrigin, turns} = JSON.parse(await readFile(file, 'utf8')) as {timeOrigin: number; turns: Turn[]}
  return turns.map(({at, late}) => ({at: at + timeOrigin, late}))
}
