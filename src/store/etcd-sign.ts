/** A sign of life in etcd: a key that lives as long as its lease. */
import {quoted} from '../model/errors.ts'
import type {EtcdConnection, ITxnResponse, KeyValue} from './etcd-client.ts'
import type {EtcdLink} from './etcd-link.ts'
import type {Renew} from './ownership.ts'

export interface EtcdSign {
  /** Whole. */
  readonly key: string
  readonly name: string
  /** Of the lease. */
  readonly seconds: number
  readonly instance: string
}

/** A key under another lease than ours was written by another process. */
export function etcdSign(link: EtcdLink, {key, name, seconds, instance}: EtcdSign): Renew {
  const at = Buffer.from(key)
  let lease: string | undefined
  /** The name has been ours: who has it now came later. */
  let shown = false

  return async (deadlineMs, signal) => {
    const ask = <T>(run: (etcd: EtcdConnection) => Promise<T>) =>
      link.ask({what: `show the sign of life of ${quoted(name)}`, deadlineMs, signal}, run)
    const limits = {deadlineMs, signal}

    if (lease !== undefined) {
      const mine = lease
      const [alive, there] = await Promise.all([
        ask(etcd => etcd.keepAlive(mine, limits)),
        ask(etcd => etcd.range({key: at}, limits)),
      ])
      const [item] = there.items
      if (alive && isOurs(item, mine)) return 'kept'
      if (!alive) lease = undefined
      if (item && !isOurs(item, mine)) return 'taken'
    }
    lease ??= await ask(etcd => etcd.grant(seconds, limits))
    const mine = lease
    const put = {request_put: {key: at, value: Buffer.from(instance), lease: mine}}
    // The first time it is taken from whoever has it: a process before us.
    const compare = shown ? [{key: at, result: 0, target: 1, create_revision: '0'} as const] : []
    const answer: ITxnResponse = await ask(etcd => etcd.txn({compare, success: [put]}, limits))
    shown = true
    return answer.succeeded ? 'anew' : 'taken'
  }
}

const isOurs = (item: KeyValue | undefined, lease: string): boolean => item?.lease === lease
