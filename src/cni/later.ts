/** Work of plugins that goes on behind an answer. */

export interface Later {
  /** For `PluginCall.later`. A rejection is heard of in {@link Later.done}, and only there. */
  readonly add: (work: Promise<unknown>) => void
  /** Once all of it has ended. Rejects with the first failure. */
  done(): Promise<void>
}

export function createLater(): Later {
  const all: Promise<unknown>[] = []
  return {
    add: work => {
      work.catch(() => {})
      all.push(work)
    },
    done: async () => {
      const ends = await Promise.allSettled(all)
      for (const end of ends) if (end.status === 'rejected') throw end.reason
    },
  }
}
