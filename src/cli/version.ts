/** The package's version: the bundler puts the text in; a checkout reads it. */
import {readFileSync} from 'node:fs'

declare const NETGRAFT_VERSION: string | undefined

export const VERSION: string =
  typeof NETGRAFT_VERSION === 'string'
    ? NETGRAFT_VERSION
    : (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {version: string}).version
