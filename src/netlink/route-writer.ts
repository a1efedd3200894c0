/** Route changes, carried out by the kernel in one batch. */
import type {Refusal, RouteChange, RouteWriter} from '../model/plans.ts'
import type {Kernel} from './kernel.ts'
import type {Request} from './request.ts'
import {addRoute, deleteRoute, replaceRoute} from './route.ts'

const REQUEST: Readonly<Record<RouteChange['op'], (route: RouteChange['route']) => Request>> = {
  add: addRoute,
  replace: replaceRoute,
  delete: deleteRoute,
}

/** ESRCH: the kernel has no such route. */
const GONE = 'ESRCH'

export function routeWriter(kernel: Kernel, settle: () => Promise<void>): RouteWriter {
  return {
    settle,
    write: async changes => {
      const errors = await kernel.batch(changes.map(({op, route}) => REQUEST[op](route)))
      return errors.map((error, i): Refusal | undefined =>
        !error || (changes[i]!.op === 'delete' && error.code === GONE) ? undefined : error,
      )
    },
  }
}
