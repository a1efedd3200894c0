/** Pings an address with packets of the sizes given: prints those that came back. */
import {parseIp} from '../../../src/model/ip.ts'
import {echo} from '../../../src/netlink/echo.ts'

const [address = '', ...sizes] = process.argv.slice(2)
const found = await echo(parseIp(address), sizes.map(Number)).then(
  set => [...set].sort((a, b) => a - b),
  ({code}) => code,
)
console.log(JSON.stringify(found))
