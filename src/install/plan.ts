/** What an install would change, from what is there. Changes nothing itself. */
import {constants} from 'node:fs'
import {open} from 'node:fs/promises'
import {join} from 'node:path'
import {InvalidInput, quoted} from '../model/errors.ts'
import {buildConflist, CHAINED, type Delegate, isOurConflist, NAME, parseDelegate} from './conflist.ts'
import {type Change, type File, readSpot, type Spot} from './files.ts'
import {configurations, inByteOrder, programsOf} from './folders.ts'
import {InstallError, refused} from './problem.ts'
import {isShim, SHIM_MAX} from './shim.ts'

export interface PlanOptions {
  /** The runtime's plugins, usually /opt/cni/bin. */
  readonly binFolder: string
  /** The runtime's configurations, usually /etc/cni/net.d. */
  readonly confFolder: string
  /** The file in the conf folder; one of ours under another name goes. */
  readonly confName: string
  /** The network that would be the runtime's default without us serves eth0 as before: as our delegate. */
  readonly keepDefault: boolean
  /** Also where another file comes first: for runtimes that choose the network by its name. */
  readonly anyOrder: boolean
  /** As in the conflist. */
  readonly socket: string
  readonly spool: string
}

export interface Plan {
  /** In the order in which they are safe. */
  readonly changes: readonly Change[]
  /** Paths of what is as it should be. */
  readonly same: readonly string[]
  /** What an operator should know besides. */
  readonly notes: readonly string[]
}

const SHIM_MODE = 0o755
/** The delegate's configuration may hold a secret. */
const CONF_MODE = 0o600
/** Bytes. A foreign configuration of the size that we take may grow sixfold when it is written out. */
const CONF_MAX = 16 * 1024 * 1024
/** Bytes that a file's name may have: NAME_MAX, linux/limits.h. */
const NAME_MAX = 255

/** Throws {@link InstallError}. */
export function checkConfName(name: string): void {
  if (!/^[^/\0]+\.conflist$/.test(name) || Buffer.byteLength(name) > NAME_MAX)
    throw new InstallError(
      `${quoted(name)} cannot be the name of the conflist; choose a file name (no path) that ends in .conflist`,
    )
}

/** The shim first: no runtime is to find a conflist without its program. Throws {@link InstallError}. */
export async function planInstall(options: PlanOptions, shim: Buffer): Promise<Plan> {
  const {binFolder, confFolder, confName} = options
  const shimPath = join(binFolder, NAME)
  const confPath = join(confFolder, confName)
  const program = await ownFile(shimPath, SHIM_MAX, isShim, 'the shim of Netgraft')
  const conf = await ownFile(confPath, CONF_MAX, isOurConflist, 'a conflist of Netgraft')
  const olds = (await ownConflists(confFolder)).filter(({path}) => path !== confPath)

  const ours = [confPath, ...olds.map(({path}) => path)]
  const foreign = (await configurations(confFolder)).filter(name => !ours.includes(join(confFolder, name)))
  if (!options.anyOrder) checkOrder(confFolder, confName, foreign[0])
  const kept = options.keepDefault ? await readDefault(confFolder, foreign[0]) : undefined
  const programs = await programsOf(binFolder, CHAINED)
  const delegates = kept === undefined ? [] : [kept]
  const text = Buffer.from(buildConflist({...options, programs, delegates}))

  const wanted = [
    {path: shimPath, before: program, after: {content: shim, mode: SHIM_MODE}},
    {path: confPath, before: conf, after: {content: text, mode: CONF_MODE}},
  ]
  return {
    changes: [
      ...wanted.filter(({before, after}) => !isSame(before, after)),
      ...olds.map(({path, file}) => ({path, before: file, after: undefined})),
    ],
    same: wanted.filter(({before, after}) => isSame(before, after)).map(({path}) => path),
    notes: [
      ...(kept ? [`${join(confFolder, foreign[0]!)} stays in charge of eth0`] : []),
      ...CHAINED.filter(name => !programs.includes(name)).map(name => `${binFolder} has no ${name}: ${WITHOUT[name]}`),
    ],
  }
}

const WITHOUT: Readonly<Record<string, string>> = {
  portmap: 'host ports of pods are not served',
  bandwidth: 'bandwidth limits of pods are not kept',
}

/** Every conflist of ours in the folder, whatever its name. Throws {@link InstallError}. */
export async function ownConflists(folder: string): Promise<{path: string; file: File}[]> {
  const own = []
  for (const name of await configurations(folder)) {
    if (!name.endsWith('.conflist')) continue
    const path = join(folder, name)
    const file = await readSpot(path, CONF_MAX)
    if (isFile(file) && isOurConflist(file.content)) own.push({path, file})
  }
  return own
}

type OwnFile = Exclude<Spot, string>

/** What we wrote there before. Throws {@link InstallError} where something else stands. */
async function ownFile(
  path: string,
  max: number,
  isOurs: (content: Buffer) => boolean,
  what: string,
): Promise<OwnFile> {
  const spot = await readSpot(path, max)
  if (spot === undefined || (isFile(spot) && isOurs(spot.content))) return spot
  const is = isFile(spot) ? 'is there' : `is ${spot}`
  throw new InstallError(`${path} ${is} and not ${what}; move it away`)
}

export const isFile = (spot: Spot): spot is Exclude<OwnFile, undefined> => typeof spot === 'object'

/** A program that a runtime runs as root has to be root's. */
const isSame = (before: OwnFile, after: File): boolean =>
  before !== undefined &&
  before.uid === process.geteuid?.() &&
  before.mode === after.mode &&
  before.content.equals(after.content)

function checkOrder(folder: string, name: string, first: string | undefined): void {
  if (first === undefined || inByteOrder(name, first) < 0) return
  throw new InstallError(
    `${join(folder, first)} comes before ${quoted(name)}, and the runtime takes the first; remove it, choose a name that comes before it with --conf-name, or, where the runtime chooses by the network's name, say --any-order`,
  )
}

/** The network that the runtime takes without us. Follows links, as it does. Throws {@link InstallError}. */
async function readDefault(folder: string, name: string | undefined): Promise<Delegate> {
  // Not ours instead: the file may not be written yet, and pods would come up in another network than they should.
  if (name === undefined)
    throw new InstallError(
      `${folder} has no other network that could be kept; wait for it, or leave --keep-default away to have Netgraft's own`,
    )
  const path = join(folder, name)
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const about = await file.stat()
      if (!about.isFile()) throw new InvalidInput('it is not a file')
      if (about.size > CONF_MAX) throw new InvalidInput(`it has ${about.size} bytes`)
      return parseDelegate(name, await file.readFile())
    } finally {
      await file.close()
    }
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw refused(path, 'read', error)
    throw new InstallError(
      `${path}, the default network today, cannot be kept: ${error.message}; correct it, or leave --keep-default away`,
      {cause: error},
    )
  }
}
