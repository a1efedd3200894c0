/** The agent's own doors, with every call counted. A batch of changes is made step by step: each is a point of time. */
import type {Doors} from '../../../../src/agent/cni-open.ts'
import {execPlugin} from '../../../../src/cni/exec.ts'
import {openJournal} from '../../../../src/cni/journal.ts'
import type {FileOutcome, FileStep, Files} from '../../../../src/model/files.ts'
import type {NamespaceKernel, Namespaces, Step, StepOutcome} from '../../../../src/model/namespace.ts'
import type {Nft} from '../../../../src/model/nft.ts'
import {fileLocks} from '../../../../src/netlink/file-lock.ts'
import {openFiles} from '../../../../src/netlink/files.ts'
import {Kernel} from '../../../../src/netlink/kernel.ts'
import {namespaceKernel, namespaces} from '../../../../src/netlink/namespace.ts'
import {type Points, Struck} from './points.ts'

/** `netns`: of the host. @default the process's own */
export function countedDoors(points: Points, netns?: string): Doors {
  return {
    kernel: () =>
      points.call('open the host', 'look', async () =>
        countedKernel(points, 'host', namespaceKernel(await Kernel.open({netns}))),
      ),
    namespaces: countedNamespaces(points, namespaces()),
    journal: openJournal,
    locks: {
      acquire: (path, signal) =>
        points.call(`lock ${path}`, 'look', async () => {
          const lock = await fileLocks.acquire(path, signal)
          return {release: () => points.call(`unlock ${path}`, 'look', lock.release)}
        }),
    },
    files: async () => countedFiles(points, await openFiles()),
    program: execPlugin,
  }
}

/**
 * Step by step. What a failed step has made is taken back by the step itself, so none is done and fails all the same; but
 * a descriptor is gone even when close(2) complains.
 */
const countedFiles = ({call}: Points, real: Files): Files => ({
  close: real.close,
  run: async steps => {
    const outcomes: FileOutcome[] = []
    let failed = false
    for (const step of steps) {
      if (failed) {
        outcomes.push({code: 'ECANCELED'})
        continue
      }
      const make = async () => (await real.run([step]))[0]!
      const outcome = await call(`${step.do} ${step.path}`, NAMELESS.has(step.do) ? 'look' : 'creation', make).catch(
        async error => {
          if (!(error instanceof Struck)) throw error
          if (step.do === 'close') await make()
          return {code: error.code}
        },
      )
      outcomes.push(outcome)
      failed = outcome.code !== undefined && !step.mayFail
    }
    return outcomes
  },
})

const NAMELESS: ReadonlySet<FileStep['do']> = new Set(['sync', 'stat', 'lock', 'close'])

const countedNamespaces = (points: Points, real: Namespaces): Namespaces => ({
  open: path =>
    points.call(`open ${path}`, 'look', async () => {
      const sandbox = await real.open(path)
      let kernel: Promise<NamespaceKernel> | undefined
      return {
        ...sandbox,
        kernel: () => {
          kernel ??= points.call('enter the pod', 'look', async () =>
            countedKernel(points, 'pod', await sandbox.kernel()),
          )
          return kernel
        },
        close: () => points.call('leave the pod', 'look', sandbox.close),
      }
    }),
})

function countedKernel({call}: Points, where: string, real: NamespaceKernel): NamespaceKernel {
  /** What is asked for is done in the order of the calls, also while a batch is made step by step. */
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work)
    last = result.catch(() => {})
    return result
  }
  const one = (step: Step): Promise<StepOutcome> =>
    call(
      `${where}: ${step.op} ${step.object}`,
      step.op === 'read' ? 'look' : 'change',
      async () => (await real.change([step]))[0]!,
    ).catch(
      // The kernel refuses a step, and not the batch.
      error => (error instanceof Struck && error.what === 'refuse' ? {refusal: error} : Promise.reject(error)),
    )
  return {
    change: steps =>
      inTurn(async () => {
        const outcomes: StepOutcome[] = []
        for (const step of steps) outcomes.push(await one(step))
        return outcomes
      }),
    link: target => inTurn(() => call(`${where}: link ${target}`, 'look', () => real.link(target))),
    links: () => inTurn(() => call(`${where}: links`, 'look', () => real.links())),
    addresses: filter => inTurn(() => call(`${where}: addresses`, 'look', () => real.addresses(filter))),
    routes: filter => inTurn(() => call(`${where}: routes`, 'look', () => real.routes(filter))),
    readSysctl: name => inTurn(() => call(`${where}: read ${name}`, 'look', () => real.readSysctl(name))),
    writeSysctl: (name, value) =>
      inTurn(() => call(`${where}: write ${name}`, 'change', () => real.writeSysctl(name, value))),
    close: () => real.close(),
  }
}

export const countedNft = ({call}: Points, real: Nft): Nft => ({
  list: table => call(`nft: list ${table}`, 'look', () => real.list(table)),
  apply: commands => call('nft: apply', 'change', () => real.apply(commands)),
})
