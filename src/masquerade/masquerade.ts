/**
 * Keeps our table of the packet filter as it should be: a level-triggered pass for the network, and a port for single
 * pods. One call of nft at a time; what arrives meanwhile shares the next one.
 */
import {InvalidInput, NetgraftError} from '../model/errors.ts'
import type {Masquerade} from '../model/masquerade.ts'
import {type Nft, type NftCommand, NftError, type NftTrouble} from '../model/nft.ts'
import {byAddress, desired, isIdle, type NetworkFacts, type Pod, type Ruleset} from './desired.ts'
import {type Dialect, diff, learn, podChanges} from './diff.ts'
import {readListing, type Standing} from './listing.ts'
import {addChain, deleteChain, subnets, TABLE} from './table.ts'

export interface MasqueradeReport {
  /** Commands that the kernel has taken: 0 where all was as it should be. */
  readonly changed: number
  /** One sentence part. Undefined: the kernel has what is wanted. */
  readonly refused?: string
  /** The error behind {@link MasqueradeReport.refused}. */
  readonly error?: unknown
  /** Milliseconds that the pass took. */
  readonly ms: number
  /** Of both families, as wanted. */
  readonly own: number
  readonly skip: number
  readonly pods: number
}

export interface Masquerading extends Masquerade {
  /**
   * Whom pods that stand belong to, from the journal, once at the start: before it, no pod's masquerade is taken away that
   * the kernel already had. What has been added or removed since the start counts more.
   */
  restore(owners: ReadonlyMap<string, readonly Pod[]>): void
  /**
   * Compares with what the kernel has, and writes the difference. Never rejects. Undefined: not known yet, what stands for
   * the network stays.
   */
  reconcile(facts: NetworkFacts | undefined): Promise<MasqueradeReport>
}

/** The kernel did not take what an owner asked for; the cause says why. */
export class MasqueradeRefused extends NetgraftError {
  readonly code = 'EMASQUERADE'
}

type Job =
  | {readonly resolve: (report: MasqueradeReport) => void; readonly owner?: never}
  | {
      readonly owner: string
      readonly pods: readonly Pod[]
      readonly resolve: () => void
      readonly reject: (error: Error) => void
    }

/** Once more when somebody else wrote between our look and our write. */
const ATTEMPTS = 2

export function createMasquerade(nft: Nft): Masquerading {
  return new Keeper(nft)
}

class Keeper implements Masquerading {
  readonly #nft: Nft
  readonly #owners = new Map<string, readonly Pod[]>()
  /** Removed before {@link restore}: they are not to come back. */
  readonly #removed = new Set<string>()
  #restored = false
  #facts: NetworkFacts | undefined
  #jobs: Job[] = []
  #working = false
  /** The last call left the table standing, with our pods and no others in it. */
  #certain = false
  #dialect: Dialect = new Map()

  constructor(nft: Nft) {
    this.#nft = nft
  }

  restore(owners: ReadonlyMap<string, readonly Pod[]>): void {
    for (const [owner, pods] of owners)
      if (!this.#owners.has(owner) && !this.#removed.has(owner)) this.#owners.set(owner, pods)
    this.#removed.clear()
    this.#restored = true
    this.#certain = false
  }

  reconcile(facts: NetworkFacts | undefined): Promise<MasqueradeReport> {
    if (facts) this.#facts = facts
    return new Promise(resolve => this.#take({resolve}))
  }

  async add(owner: string, pods: readonly Pod[]): Promise<void> {
    const odd = pods.find(({ip, subnet}) => ip.family !== subnet.family)
    if (odd) throw new InvalidInput(`${odd.ip} cannot be in the subnet ${odd.subnet}: they are of different families`)
    await new Promise<void>((resolve, reject) => this.#take({owner, pods, resolve, reject}))
  }

  async remove(owner: string): Promise<void> {
    await new Promise<void>((resolve, reject) => this.#take({owner, pods: [], resolve, reject}))
  }

  #take(job: Job): void {
    this.#jobs.push(job)
    if (this.#working) return
    this.#working = true
    // What is asked for in the same turn of the event loop shares the call.
    setImmediate(() => void this.#work())
  }

  async #work(): Promise<void> {
    while (this.#jobs.length > 0) {
      const jobs = this.#jobs
      this.#jobs = []
      await this.#turn(jobs)
    }
    this.#working = false
  }

  async #turn(jobs: readonly Job[]): Promise<void> {
    const before = this.#pods()
    const undo: (() => void)[] = []
    const touched = new Set<string>()
    for (const job of jobs) {
      if (job.owner === undefined) continue
      for (const {ip} of job.pods) touched.add(`${ip}`)
      undo.unshift(this.#set(job.owner, job.pods))
    }
    const quick = jobs.every(job => job.owner !== undefined) && (await this.#quick(before, touched))
    const report = quick ? undefined : await this.#pass()
    if (report?.refused !== undefined) for (const each of undo) each()
    for (const job of jobs) {
      if (job.owner === undefined) job.resolve(report!)
      else if (report?.refused === undefined) job.resolve()
      else job.reject(new MasqueradeRefused(report.refused, {cause: report.error}))
    }
  }

  /** What takes it back: an owner that was refused has what it had, but one to be removed is not wanted any more. */
  #set(owner: string, pods: readonly Pod[]): () => void {
    const previous = this.#owners.get(owner)
    // Behind the others: of pods with one address the last one counts.
    this.#owners.delete(owner)
    if (pods.length > 0) this.#owners.set(owner, pods)
    else if (!this.#restored) this.#removed.add(owner)
    return () => {
      if (pods.length === 0) return
      if (previous) this.#owners.set(owner, previous)
      else this.#owners.delete(owner)
    }
  }

  /** Writes the pods that have changed without a look at what stands. False: it takes a look. */
  async #quick(before: ReadonlyMap<string, Pod>, touched: ReadonlySet<string>): Promise<boolean> {
    if (!this.#certain) return false
    try {
      const after = this.#pods()
      const kept = new Set([...subnets(after.values())].map(String))
      const theirs = new Set([...touched].map(ip => `${after.get(ip)?.subnet}`))
      const commands: NftCommand[] = [
        ...[...subnets(after.values())].filter(subnet => theirs.has(`${subnet}`)).flatMap(addChain),
        ...podChanges(after, before, touched),
        ...[...subnets(before.values())].filter(subnet => !kept.has(`${subnet}`)).map(deleteChain),
      ]
      if (commands.length > 0) await this.#nft.apply(commands)
      return true
    } catch {
      // Somebody has changed the table, or nft does not work: the pass finds out.
      this.#certain = false
      return false
    }
  }

  async #pass(): Promise<MasqueradeReport> {
    const started = performance.now()
    const report = (want: Ruleset | undefined, changed: number, error?: unknown): MasqueradeReport => ({
      changed,
      ...(error !== undefined && {refused: error instanceof Error ? error.message : String(error), error}),
      ms: performance.now() - started,
      own: want?.own.length ?? 0,
      skip: want?.skip.length ?? 0,
      pods: want?.pods.size ?? 0,
    })
    this.#certain = false
    let want: Ruleset | undefined
    for (let attempt = 1; ; attempt++) {
      try {
        const have = await this.#lookOrRewrite()
        want = this.#want(have)
        const {commands, rules} = diff(want, have, this.#dialect)
        if (commands.length > 0) await this.#nft.apply(commands)
        if (rules) await this.#learn(want)
        this.#certain = this.#restored && !isIdle(want)
        return report(want, commands.length)
      } catch (error) {
        if (isTrouble(error, 'missing') && isIdle((want = this.#want(undefined)))) return report(want, 0)
        if (attempt === ATTEMPTS || !isTrouble(error, 'refused')) return report(want, 0, error)
      }
    }
  }

  async #look(): Promise<Standing | undefined> {
    const objects = await this.#nft.list(TABLE)
    return objects && readListing(objects)
  }

  /** What cannot be read can be written anew, as soon as everything is known that belongs there. */
  async #lookOrRewrite(): Promise<Standing | undefined> {
    try {
      return await this.#look()
    } catch (error) {
      if (isTrouble(error, 'unreadable') && this.#facts && this.#restored) return UNREADABLE
      throw error
    }
  }

  #want(have: Standing | undefined): Ruleset {
    const pods = this.#restored ? this.#pods() : new Map([...(have?.ruleset.pods ?? []), ...this.#pods()])
    const {own = [], skip = []} = have?.ruleset ?? {}
    return this.#facts ? desired(this.#facts, pods.values()) : {own, skip, pods}
  }

  #pods(): ReadonlyMap<string, Pod> {
    return byAddress([...this.#owners.values()].flat())
  }

  /** Other versions of nft may say the same rules in other words: they are not to be written again for that. */
  async #learn(want: Ruleset): Promise<void> {
    const have = await this.#look()
    if (have) this.#dialect = new Map([...this.#dialect, ...learn(want, have)])
  }
}

const UNREADABLE: Standing = {...readListing([]), sound: false}

const isTrouble = (error: unknown, trouble: NftTrouble): boolean =>
  error instanceof NftError && error.trouble === trouble
