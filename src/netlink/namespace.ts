/** A namespace's network as pods are wired with it: {@link NamespaceKernel} over netlink. */
import {constants, fstatSync} from 'node:fs'
import {open, stat} from 'node:fs/promises'
import {InvalidInput, quoted} from '../model/errors.ts'
import {
  type NamespaceKernel,
  type Namespaces,
  type Sandbox,
  SandboxGone,
  type Step,
  type StepOutcome,
} from '../model/namespace.ts'
import type {Link} from '../model/net.ts'
import {addon} from './addon.ts'
import {addAddress, deleteAddress, dumpAddresses} from './address.ts'
import {Kernel, type KernelOptions} from './kernel.ts'
import {addLink, decodeLink, deleteLink, deleteLinkGroup, dumpLinks, getLink, RTM_NEWLINK, setLink} from './link.ts'
import {NLM_F} from './message.ts'
import {deleteNeighbour, type NeighbourSpec, replaceNeighbour} from './neighbour.ts'
import type {Request} from './request.ts'
import {addRoute, deleteRoute, dumpRoutes, prependRoute, replaceRoute} from './route.ts'

/** CLONE_NEWNET, linux/sched.h: what NS_GET_NSTYPE says of a network namespace. */
const NETWORK = 0x40000000

export function namespaceKernel(kernel: Kernel): NamespaceKernel {
  return {
    change: steps => change(kernel, steps),
    link: async target => {
      let link: Link | undefined
      const [refusal] = await kernel.batch([getLink(target)], (_, {type, body}) => {
        if (type === RTM_NEWLINK) link = decodeLink(body)
      })
      if (refusal && refusal.code !== 'ENODEV') throw refusal
      return link
    },
    links: () => kernel.dump(dumpLinks()),
    addresses: filter => kernel.dump(dumpAddresses(filter)),
    routes: filter => kernel.dump(dumpRoutes(filter)),
    readSysctl: name => kernel.readSysctl(name),
    writeSysctl: (name, value) => kernel.writeSysctl(name, value),
    close: () => kernel.close(),
  }
}

/** Steps that are answered with a link. */
const TELLS: ReadonlySet<Step['op']> = new Set(['add', 'read'])

async function change(kernel: Kernel, steps: readonly Step[]): Promise<StepOutcome[]> {
  const links: (Link | undefined)[] = []
  const refusals = await kernel.batch(steps.map(requestOf), (i, {type, body}) => {
    if (type === RTM_NEWLINK && TELLS.has(steps[i]!.op)) links[i] = decodeLink(body)
  })
  return steps.map((_, i) => {
    const refusal = refusals[i]
    const link = links[i]
    return {...(refusal && {refusal}), ...(link && {link})}
  })
}

function requestOf(step: Step): Request {
  switch (step.object) {
    case 'link':
      if (step.op === 'set') return setLink(step.item, step.to)
      if (step.op === 'delete') return deleteLink(step.item)
      if (step.op === 'read') return getLink(step.item)
      return echoed(addLink(step.item))
    case 'link group':
      return deleteLinkGroup(step.item)
    case 'address':
      return {add: addAddress, delete: deleteAddress}[step.op](step.item)
    case 'route':
      return {add: addRoute, prepend: prependRoute, replace: replaceRoute, delete: deleteRoute}[step.op](step.item)
    case 'neighbour':
      return step.op === 'delete' ? deleteNeighbour(step.item) : replaceNeighbour(step.item as NeighbourSpec)
  }
}

const echoed = (request: Request): Request => ({...request, flags: request.flags | NLM_F.ECHO})

/** `proc`: as for {@link Kernel.open}. */
export function namespaces(options: Pick<KernelOptions, 'proc'> = {}): Namespaces {
  let host: Promise<string> | undefined
  return {
    open: async path => {
      host ??= stat('/proc/self/ns/net').then(identity)
      return openSandbox(path, await host, options)
    },
  }
}

const identity = ({dev, ino}: {dev: number; ino: number}): string => `${dev}:${ino}`

async function openSandbox(path: string, host: string, options: Pick<KernelOptions, 'proc'>): Promise<Sandbox> {
  // A pipe of that name must not hold us.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: NodeJS.ErrnoException) => {
    const gone = ['ENOENT', 'ENOTDIR', 'ESRCH'].includes(`${cause.code}`)
    const why = `${quoted(path)} ${gone ? 'is not there' : `cannot be opened (${cause.code})`}`
    throw gone ? new SandboxGone(why, {cause}) : new InvalidInput(why, {cause})
  })
  try {
    const type = addon.namespaceType(file.fd)
    // What is left of a mount point when its namespace has been unmounted.
    if (type < 0 && (await file.stat()).size === 0 && (await isPlain(path)))
      throw new SandboxGone(`${quoted(path)} is an empty file: its namespace has been taken down`)
    if (type !== NETWORK) throw new InvalidInput(`${quoted(path)} is no network namespace`)
    // Of a namespace that asks no disk, and is less than a trip to another thread.
    const id = identity(fstatSync(file.fd))
    if (id === host) throw new InvalidInput(`${quoted(path)} is the network namespace of the host itself`)
    let kernel: Promise<NamespaceKernel> | undefined
    return {
      path,
      fd: file.fd,
      id,
      kernel: () => {
        kernel ??= Promise.resolve(namespaceKernel(Kernel.begin({...options, netns: file.fd})))
        return kernel
      },
      close: async () => {
        const opened = await kernel?.catch(() => undefined)
        opened?.close()
        await file.close()
      },
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

const isPlain = async (path: string): Promise<boolean> => (await stat(path)).isFile()
