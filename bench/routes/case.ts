/** What is measured at a time. */
import type {Backend} from '../cluster.ts'

export interface Case {
  readonly backend: Backend
  /** With this one. */
  readonly nodes: number
}

/** "direct 5,000". */
export const columnOf = ({backend, nodes}: Case): string => `${backend} ${nodes.toLocaleString('en-US')}`
