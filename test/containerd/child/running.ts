/** A pod and a container of ctr's that run until somebody kills this process: tells where, then waits. */
import {bridge, UPSTREAM} from '../conflist.ts'
import {startContainerd} from '../containerd.ts'

const {folder, cgroup, namespace, runPod, runContainer} = await startContainerd(
  // Nobody tears anything down.
  {teardown: () => {}},
  {conflist: bridge, binFolders: [UPSTREAM]},
)
await runPod({name: 'a'})
await runContainer({name: 'b'})
console.log(JSON.stringify({folder, cgroup, namespace: namespace.name}))
await new Promise(() => setInterval(() => {}, 60_000))
