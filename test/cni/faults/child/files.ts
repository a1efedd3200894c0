/** Node's file calls and its way to start programs, with every call counted: for whoever imports them, whenever. */
import childProcess from 'node:child_process'
import {constants} from 'node:fs'
import promises, {type FileHandle} from 'node:fs/promises'
import {syncBuiltinESMExports} from 'node:module'
import type {Points} from './points.ts'

const READING = ['readFile', 'readdir', 'stat', 'lstat', 'readlink'] as const
const WRITING = ['writeFile', 'mkdir', 'unlink', 'rm', 'rename', 'link', 'copyFile', 'utimes', 'chmod'] as const
/** Those that make a name. */
const NAMING: ReadonlySet<string> = new Set(['open', 'link', 'mkdir', 'copyFile'])
/** Of an open file. */
const HANDLE = {write: true, writeFile: true, truncate: true, sync: false, close: false} as const

type Call = (...args: unknown[]) => Promise<unknown>

/** Until the function that it returns is called. */
export async function countFiles({call, callNow}: Points): Promise<() => void> {
  const undo: (() => void)[] = []
  const wrap = (object: object, name: string, changes: (args: unknown[]) => boolean): void => {
    const methods = object as Record<string, Call>
    const real = methods[name]!
    methods[name] = function (this: unknown, ...args: unknown[]) {
      const effect = !changes(args) ? 'none' : NAMING.has(name) ? 'creation' : 'change'
      const made = call(`${name} ${shown(args[0])}`, effect, () => real.apply(this, args))
      // A descriptor is gone even when close(2) complains.
      return name === 'close' ? made.catch(error => real.apply(this, args).then(() => Promise.reject(error))) : made
    }
    undo.push(() => {
      methods[name] = real
    })
  }
  const handle: FileHandle = await promises.open('/dev/null')
  for (const [name, changes] of Object.entries(HANDLE)) wrap(Object.getPrototypeOf(handle), name, () => changes)
  await handle.close()
  for (const name of READING) wrap(promises, name, () => false)
  for (const name of WRITING) wrap(promises, name, () => true)
  wrap(promises, 'open', ([, flags]) =>
    typeof flags === 'number' ? (flags & constants.O_CREAT) !== 0 : typeof flags === 'string' && /[wa]/.test(flags),
  )
  const {spawn} = childProcess
  childProcess.spawn = ((...args: Parameters<typeof spawn>) =>
    callNow(`spawn ${args[0]}`, () => spawn(...args))) as typeof spawn
  undo.push(() => {
    childProcess.spawn = spawn
  })
  syncBuiltinESMExports()
  return () => {
    for (const each of undo) each()
    syncBuiltinESMExports()
  }
}

const shown = (argument: unknown): string => (typeof argument === 'string' && argument.startsWith('/') ? argument : '')
