/** What the lab shows of pairs of pods, with the real agents. */
import test from 'ava'
import {kubectl, LabCommand, until} from './support-lab.ts'

for (const [args, spread, change] of [
  [
    ['--nodes', '3', '--mixed'],
    /on n1, n2 and n3, paired by annotation: 3 veth, 3 vxlan {3}/,
    /it is made anew on n2: ring-1 – ring-2 is vxlan instead of veth, ring-2 – ring-3 is veth instead of vxlan {3}/,
  ],
  [
    ['--nodes', '1', '--family', '6'],
    /on n1, paired by annotation: 6 veth {3}/,
    /it is made anew on n1: as before, there being no other node {3}/,
  ],
] as const)
  test(`--once with pairs, ${args.join(' ')}: links follow their pods`, async t => {
    const lab = new LabCommand(t, [...args, '--pods', '0', '--no-attachments', '--once'])
    const id = await lab.id()
    t.is(await lab.end(), 0, lab.output + lab.errors)
    t.is(lab.output.match(/^ *[\d.]+ s +✔ .* ms$/gm)?.length, 10, lab.output)
    t.regex(lab.output, /✔ they reach each other: 192\.168\.2\.101 and 192\.168\.2\.100 /)
    t.regex(lab.output, spread)
    t.regex(lab.output, change)
    t.regex(lab.output, /; pairs: 10 of 10 steps; cleaned up$/m)
    t.deepEqual(await lab.leftOvers(id), [])
  })

test('pairs stay in a lab that goes on, and kubectl shows them', async t => {
  const lab = new LabCommand(t, ['--nodes', '2', '--pods', '1', '--family', '4', '--no-attachments'])
  const id = await lab.id()
  const [, kubeconfig] = await lab.prints(/^kubectl --kubeconfig (\S+) get pairs$/m)
  const lines = kubectl(kubeconfig!, 'get', 'pairs').split('\n')
  t.regex(lines[0]!, /^NAME +A +INTERFACE A +B +INTERFACE B +KIND +VNI +STATE +AGE$/)
  const [named, ...ring] = lines.slice(1)
  t.regex(named!, /^pair-pod\.in2\.primary-pod\.in1 +pair-pod +in2 +primary-pod +in1 +veth +up +\S+$/)
  t.is(ring.length, 6)
  const vnis = ring.flatMap(line => / vxlan +(\d+) +up /.exec(line)?.[1] ?? [])
  t.is(ring.filter(line => / veth +up /.test(line)).length, 4)
  // That of the tunnel that became a veth is given back in time.
  const taken = () => kubectl(kubeconfig!, 'get', 'vnis', '-o', 'name').split('\n').sort().join()
  const wanted = vnis
    .map(vni => `vni.netgraft.dev/${vni}`)
    .sort()
    .join()
  await until(() => taken() === wanted, `VNIs: ${wanted}`)
  t.is(kubectl(kubeconfig!, 'get', 'pairpods', '-o', 'name').split('\n').length, 8)
  // The examples' pods have pings of their own.
  t.regex(lab.output, /2 of 2 pings answered$/m)
  lab.child.kill('SIGINT')
  t.is(await lab.end(), 0, lab.errors)
  t.deepEqual(await lab.leftOvers(id), [])
})
