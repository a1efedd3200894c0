/** Known to the ports, too: it lives with them. */
export type {Stale, Synced, Unsynced, View} from '../model/view.ts'
