import test from 'ava'
import fc from 'fast-check'
import {Subject} from 'rxjs'
import {KeptChangeLog} from '../../src/streams/change-log.ts'
import {changedKeys} from '../../src/streams/changed-keys.ts'
import type {View} from '../../src/streams/view.ts'

type Texts = View<string, string>

function follow() {
  const view$ = new Subject<Texts>()
  const keys: (string | undefined)[] = []
  view$.pipe(changedKeys()).subscribe(key => keys.push(key))
  const log = new KeptChangeLog<string>()
  const synced = (...changed: string[]) => {
    for (const key of changed) log.add(key)
    view$.next({synced: true, items: new Map(), log, at: 0})
  }
  return {view$, log, synced, told: () => keys.splice(0)}
}

test('the first view may have anything; later ones what has changed, each once', t => {
  const {synced, told} = follow()
  synced('a', 'b')
  t.deepEqual(told(), [undefined])
  synced()
  t.deepEqual(told(), [])
  synced('c', 'a', 'c')
  t.deepEqual(told(), ['c', 'a'])
  synced('c')
  t.deepEqual(told(), ['c'])
})

test('nothing of a view that is not synced, and nothing is lost for it', t => {
  const {view$, log, synced, told} = follow()
  view$.next({synced: false, reason: 'not yet'})
  t.deepEqual(told(), [])
  synced('a')
  log.add('b')
  view$.next({synced: false, reason: 'cut off'})
  synced('c')
  t.deepEqual(told(), [undefined, 'b', 'c'])
})

test('where too much has changed, or nobody has kept it, it may be anything', t => {
  const {view$, synced, told} = follow()
  synced()
  synced(...Array.from({length: 2500}, (_, i) => `${i}`))
  t.deepEqual(told(), [undefined, undefined])
  synced('a')
  t.deepEqual(told(), ['a'])
  view$.next({synced: true, items: new Map(), at: 0})
  t.deepEqual(told(), [undefined])
  view$.next({synced: true, items: new Map(), at: 0})
  t.deepEqual(told(), [undefined])
  synced('b')
  t.deepEqual(told(), [undefined])
})

test('every change is told of, in one way or the other', t => {
  const changes = fc.array(fc.oneof(fc.array(fc.constantFrom('a', 'b', 'c'), {maxLength: 700}), fc.constant(undefined)))
  fc.assert(
    fc.property(changes, steps => {
      const {view$, log, synced, told} = follow()
      const due = new Set<string>()
      let isFirst = true
      for (const step of steps) {
        for (const key of step ?? ['a']) due.add(key)
        if (!step) {
          log.add('a')
          view$.next({synced: false, reason: 'cut off'})
          t.deepEqual(told(), [])
          continue
        }
        synced(...step)
        const keys = told()
        if (isFirst) t.deepEqual(keys, [undefined])
        isFirst = false
        t.true(keys.includes(undefined) || [...due].every(key => keys.includes(key)))
        due.clear()
      }
    }),
  )
})
