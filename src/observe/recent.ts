/** What a log has last said, kept in memory for whoever asks why. */

export interface Recent {
  add(line: string): void
  /** Oldest first. */
  readonly lines: () => readonly string[]
}

/** Lines: of all, and beside them of warnings and worse, which much else must not push out. */
const KEPT = {all: 200, warnings: 200} as const
/** Characters. A stack, or somebody's object, may be of any length. */
const LENGTH = 2000

/** As pino begins a line. */
const WARNS = /^\{"level":"(warn|error|fatal)"/

export function createRecent(): Recent {
  let count = 0
  const [all, warnings]: [Kept[], Kept[]] = [[], []]
  const keep = (list: Kept[], most: number, kept: Kept): void => {
    list.push(kept)
    if (list.length > most) list.shift()
  }
  return {
    add: line => {
      const text = line.trimEnd()
      // A piece of a long text would keep the whole of it.
      const cut = text.length > LENGTH ? Buffer.from(`${text.slice(0, LENGTH)}…`).toString() : text
      const kept = {at: count++, text: cut}
      keep(all, KEPT.all, kept)
      if (WARNS.test(cut)) keep(warnings, KEPT.warnings, kept)
    },
    lines: () => [...new Set([...warnings, ...all])].sort((a, b) => a.at - b.at).map(({text}) => text),
  }
}

interface Kept {
  readonly at: number
  readonly text: string
}
