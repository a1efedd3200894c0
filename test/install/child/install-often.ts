/** Installs again and again, with the options in turn; prints its first failure. */
import {install} from '../../../src/install/install.ts'
import {fileLocks} from '../../../src/netlink/file-lock.ts'
import type {Host} from '../support.ts'

const [count, text] = process.argv.slice(2) as [string, string]
const hosts = JSON.parse(text) as Host[]
for (let i = 0; i < Number(count); i++) await install({...hosts[i % hosts.length]!, locks: fileLocks})
console.log('done')
