/** Keeps the table that guards tunnels as it should be. */
import {type Nft, NftError} from '../model/nft.ts'
import {GUARD_TABLE, type GuardFacts, remove, rewrite, standing, wanted} from './table.ts'

export interface GuardReport {
  /** Whether something was written. */
  readonly changed: boolean
  /** One sentence part. Undefined: the kernel has what is wanted. */
  readonly refused?: string
}

/** Compares with what the kernel has, and writes where that is something else. Never rejects. */
export function createGuard(nft: Nft): (facts: GuardFacts) => Promise<GuardReport> {
  /** Another version of nft may say the same in other words: it is not to be written again for that. */
  let learned = {want: '', have: ''}
  return async facts => {
    try {
      const objects = await nft.list(GUARD_TABLE).catch(error => {
        if (error instanceof NftError && error.trouble === 'unreadable') return []
        throw error
      })
      if (facts.ports.length === 0) {
        if (objects) await nft.apply(remove())
        return {changed: objects !== undefined}
      }
      const want = wanted(facts)
      const have = objects && standing(objects)
      if (have === want || (learned.want === want && learned.have === have)) return {changed: false}
      await nft.apply(rewrite(facts))
      learned = {want, have: standing((await nft.list(GUARD_TABLE)) ?? [])}
      return {changed: true}
    } catch (error) {
      const none = error instanceof NftError && ['missing', 'unsupported'].includes(error.trouble)
      if (none && facts.ports.length === 0) return {changed: false}
      return {changed: false, refused: error instanceof Error ? error.message : String(error)}
    }
  }
}
