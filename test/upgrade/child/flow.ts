/**
 * Traffic inside a pod: "echo <port>" answers UDP and TCP; "send <port> <address>…" sends both to each address, a number
 * every 20 ms, until its standard input ends, and prints what became of them as one line of JSON.
 */
import {createSocket} from 'node:dgram'
import {connect, createServer} from 'node:net'
import {setTimeout as sleep} from 'node:timers/promises'

const EVERY_MS = 20
/** Unanswered: then the next ones wait, so that no buffer runs over on a machine that stands still. */
const AHEAD = 100
/** Milliseconds that the last answers may take. */
const PATIENCE_MS = 20_000

const [mode, port = '', ...addresses] = process.argv.slice(2)

function echo(): void {
  const udp = createSocket('udp6')
  udp.on('message', (bytes, {address, port: from}) => udp.send(bytes, from, address))
  const tcp = createServer(socket => {
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  udp.bind(Number(port), '::', () => tcp.listen(Number(port), '::', () => console.log('ready')))
}

interface Way {
  readonly address: string
  /** Sends the next number. */
  readonly send: () => void
  readonly waiting: () => number
  readonly sum: () => {sent: number; lost: number[]; error?: string | undefined}
}

function udpTo(address: string): Way {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  const unanswered = new Set<number>()
  let sent = 0
  let error: string | undefined
  socket.on('error', caught => (error ??= caught.message))
  socket.on('message', bytes => unanswered.delete(bytes.readUInt32LE(0)))
  const send = () => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(++sent)
    unanswered.add(sent)
    socket.send(bytes, Number(port), address, caught => (error ??= caught?.message))
  }
  return {address, send, waiting: () => unanswered.size, sum: () => ({sent, lost: [...unanswered], error})}
}

function tcpTo(address: string): Way {
  const socket = connect(Number(port), address)
  let [sent, got] = [0, 0]
  let error: string | undefined
  socket.on('error', caught => (error ??= caught.message))
  socket.on('close', () => (error ??= 'closed'))
  socket.on('data', bytes => (got += bytes.length))
  const send = () => {
    sent++
    socket.write('x')
  }
  return {address, send, waiting: () => sent - got, sum: () => ({sent, lost: sent === got ? [] : [sent - got], error})}
}

async function send(): Promise<void> {
  const ways = addresses.flatMap(address => [udpTo(address), tcpTo(address)])
  let isOver = false
  process.stdin.on('end', () => (isOver = true)).resume()
  const tell = (word: string) => console.log(word)
  for (let first = true; !isOver; first = false) {
    for (const way of ways) if (way.waiting() < AHEAD) way.send()
    await sleep(EVERY_MS)
    if (first) tell('sending')
  }
  const deadline = performance.now() + PATIENCE_MS
  while (ways.some(way => way.waiting() > 0) && performance.now() < deadline) await sleep(EVERY_MS)
  tell(JSON.stringify(ways.map((way, i) => ({to: `${i % 2 === 0 ? 'UDP' : 'TCP'} ${way.address}`, ...way.sum()}))))
  process.exit(0)
}

if (mode === 'echo') echo()
else await send()
