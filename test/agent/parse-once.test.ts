/** What a pod asks for is read again when it asks for something else. */
import test from 'ava'
import {parseOnce} from '../../src/agent/parse-once.ts'
import {POD_ANNOTATIONS} from '../../src/streams/pods.ts'

const P = {namespace: 'x', name: 'p'}
const {npwg, kaloom, attachmentsStatus} = POD_ANNOTATIONS

test('our own status changes nothing; each of the two annotations does', t => {
  const parse = parseOnce(() => new Set(['x/p']))
  const first = parse(P, {[npwg]: 'a'})
  t.is(parse(P, {[npwg]: 'a', [attachmentsStatus]: '[]'}), first)
  const names = (annotations: Record<string, string>, pod = P) =>
    parse(pod, annotations).selected.map(({selection: {namespace, name}}) => `${namespace}/${name}`)
  t.deepEqual(names({[npwg]: 'b'}), ['x/b'])
  t.deepEqual(names({[npwg]: 'b', [kaloom]: '[{"name":"c"}]'}), ['x/b', 'x/c'])
  t.deepEqual(names({[kaloom]: '[{"name":"c"}]'}), ['x/c'])
  t.deepEqual(names({}), [])
  t.deepEqual(names({[npwg]: 'a'}), ['x/a'])
  // Of its name in another namespace, and beside one that nobody knows.
  t.deepEqual(names({[npwg]: 'a'}, {namespace: 'y', name: 'p'}), ['y/a'])
  t.deepEqual(names({[npwg]: 'b'}), ['x/b'])
})

test('pods that have gone are forgotten', t => {
  const pods = new Set<string>()
  const parse = parseOnce(() => pods)
  const read = (name: string) => parse({namespace: 'x', name}, {[npwg]: 'a'})
  for (const name of ['p', 'q', 'r']) pods.add(`x/${name}`)
  const before = ['p', 'q', 'r'].map(read)
  t.deepEqual(
    ['p', 'q', 'r'].map(read).map((each, i) => each === before[i]),
    [true, true, true],
  )
  pods.delete('x/q')
  pods.delete('x/r')
  pods.add('x/s')
  read('s')
  read('s')
  t.is(read('p'), before[0]!)
  t.not(read('q'), before[1]!)
  t.not(read('q'), read('q'))
})
