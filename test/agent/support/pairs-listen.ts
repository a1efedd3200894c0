/** What the kernel tells of links, addresses and routes inside of a pod. */
import {spawn} from 'node:child_process'
import {setTimeout as sleep} from 'node:timers/promises'
import type {ExecutionContext} from 'ava'
import type {Namespace} from '../../netlink/namespace.ts'

/** From now on until the result is called: `ip monitor`'s lines, without what IPv6 does by itself. */
export async function listen(t: ExecutionContext, namespace: Namespace): Promise<() => string[]> {
  const words = ['-n', namespace.name, '-o', 'monitor', 'link', 'address', 'route']
  const child = spawn('ip', words, {stdio: ['ignore', 'pipe', 'ignore']})
  t.teardown(() => child.kill('SIGKILL'))
  let text = ''
  child.stdout.setEncoding('utf8').on('data', more => {
    text += more
  })
  // A route of nobody's, until it has been heard of.
  while (!text.includes('198.51.100.1')) {
    namespace.ip('route', 'add', 'blackhole', '198.51.100.1')
    namespace.ip('route', 'del', 'blackhole', '198.51.100.1')
    await sleep(25)
  }
  return () => {
    child.kill()
    return text.split('\n').filter(line => line !== '' && !/ fe80:|^local fe80:|198\.51\.100\./.test(line))
  }
}
