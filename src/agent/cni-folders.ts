/** Where agent and shim meet, and where the agent is asked what it knows. */
import {join} from 'node:path'
import type {Config} from '../model/config.ts'

type Folders = Pick<Config, 'folders'>

/** The socket that the shim asks. */
export const socketPath = ({folders}: Folders): string => join(folders.run, 'cni.sock')

/** The socket of the admin API. */
export const adminSocketPath = ({folders}: Folders): string => join(folders.run, 'admin.sock')

/** Where the shim leaves the DELs that nobody answers. */
export const spoolFolder = ({folders}: Folders): string => join(folders.state, 'spool')
