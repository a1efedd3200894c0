/** Where agent and shim meet. */
import {join} from 'node:path'
import type {Config} from '../model/config.ts'

type Folders = Pick<Config, 'folders'>

/** The socket that the shim asks. */
export const socketPath = ({folders}: Folders): string => join(folders.run, 'cni.sock')

/** Where it leaves the DELs that nobody answers. */
export const spoolFolder = ({folders}: Folders): string => join(folders.state, 'spool')
