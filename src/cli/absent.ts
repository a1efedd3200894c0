/** Why no agent answers, where the node's state folder tells it. */
import {refuseNewerState} from '../agent/state-versions.ts'
import type {Config} from '../model/config.ts'
import {AgentAbsent} from './ask.ts'

/** For `ask(…).catch`: rejects with the same error, or with an {@link AgentAbsent} that says more. */
export const whyAbsent =
  ({folders}: Pick<Config, 'folders'>) =>
  async (error: unknown): Promise<never> => {
    if (!(error instanceof AgentAbsent)) throw error
    const why = await newerState(folders.state)
    throw why === undefined ? error : new AgentAbsent(`${error.message}; one of this version will not start: ${why}`)
  }

/** One sentence. Undefined: an agent of this version can use the folder. */
export const newerState = (folder: string): Promise<string | undefined> =>
  refuseNewerState(folder).then(
    () => undefined,
    (error: Error) => error.message,
  )
