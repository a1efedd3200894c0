/** A real etcd, in a namespace of the run. */
import {once} from 'node:events'
import {join} from 'node:path'
import type {Run} from '../../src/lab/run.ts'

const PORT = 2379
const PEER_PORT = 2380
/** What it says then. */
const READY = 'serving client traffic'

/** Resolves with its address for clients when it serves. The run ends it. */
export async function startEtcd(run: Run, netns: string, ip: string): Promise<string> {
  const [url, peer] = [`http://${ip}:${PORT}`, `http://${ip}:${PEER_PORT}`]
  const args = [
    ...['--data-dir', join(run.folder, `${netns}.etcd`), '--name', 'bench', '--logger', 'zap', '--log-level', 'info'],
    ...['--listen-client-urls', url, '--advertise-client-urls', url],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `bench=${peer}`],
  ]
  const child = await run.spawn('etcd', args, {netns, stdio: ['ignore', 'ignore', 'pipe']})
  let said = ''
  const serves = new Promise<void>(resolve => {
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4096)
      if (said.includes(READY)) resolve()
    })
  })
  await Promise.race([
    serves,
    once(child, 'exit').then(() => {
      throw new Error(`etcd did not start: ${said}`)
    }),
  ])
  return url
}
