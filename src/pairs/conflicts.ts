/** Pairs that cannot be, because of others: one interface for two, one name for two. Pure. */
import {type Candidate, type Side, saidBy} from './candidate.ts'
import {endText} from './key.ts'

/** A sentence for each one that is not to be built. What one wins at one end counts even where it loses at the other. */
export function conflictsIn(candidates: readonly Candidate[]): ReadonlyMap<Candidate, string> {
  const conflicts = new Map<Candidate, string>()
  for (const [candidate, message] of [...sharedInterfaces(candidates), ...sharedNames(candidates)])
    if (!conflicts.has(candidate)) conflicts.set(candidate, message)
  return conflicts
}

interface Claim {
  readonly candidate: Candidate
  readonly side: Side
}

const isOfBoth = (candidate: Candidate): boolean => candidate.every(({declaration}) => declaration)

/** Who comes first. */
const rankOf = ({candidate, side}: Claim): number => (isOfBoth(candidate) ? 2 : side.declaration ? 1 : 0)

function* sharedInterfaces(candidates: readonly Candidate[]): Generator<readonly [Candidate, string]> {
  const claims = new Map<string, Claim[]>()
  for (const candidate of candidates)
    for (const side of candidate) {
      const key = endText(side)
      const list = claims.get(key)
      if (list) list.push({candidate, side})
      else claims.set(key, [{candidate, side}])
    }
  for (const list of claims.values()) {
    if (list.length < 2) continue
    const highest = Math.max(...list.map(rankOf))
    const first = list.filter(claim => rankOf(claim) === highest)
    for (const claim of list) {
      const rival = first.find(each => each !== claim)
      if (!rival || (first.length === 1 && claim === first[0])) continue
      const {interface: ifname, pod} = claim.side
      yield [
        claim.candidate,
        `${saidBy(claim.candidate)} would have the interface ${ifname} of ${pod}, and so would ${saidBy(rival.candidate)}; give one of them another name`,
      ]
    }
  }
}

/** A pod names a pair with another one, which calls so a pair of its own with somebody else. */
function* sharedNames(candidates: readonly Candidate[]): Generator<readonly [Candidate, string]> {
  const byName = new Map<string, Claim>()
  for (const candidate of candidates)
    for (const side of candidate) {
      const key = nameKey(side.pod, side.declaration?.name)
      if (key !== undefined && !byName.has(key)) byName.set(key, {candidate, side})
    }
  for (const candidate of candidates) {
    const [said, other] = candidate[0].declaration ? candidate : candidate.toReversed()
    const rival = other!.declaration ? undefined : byName.get(nameKey(other!.pod, said!.declaration!.name) ?? '')
    if (!rival) continue
    const theirs = rival.candidate.find(side => side !== rival.side)!
    const message = `${saidBy([said!])} calls a pair with ${other!.pod} "${said!.declaration!.name}", and ${saidBy([rival.side])} so one with ${theirs.pod}; give each pair a name of its own`
    yield [candidate, message]
    if (!isOfBoth(rival.candidate)) yield [rival.candidate, message]
  }
}

const nameKey = (pod: string, name: string | undefined): string | undefined =>
  name === undefined ? undefined : `${pod} ${name}`
