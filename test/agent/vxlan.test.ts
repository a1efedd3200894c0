import test from 'ava'
import {built, nodeObject, SELF, startNode} from './support/node.ts'

test.before(built)

test('look', async t => {
  const node = await startNode(t, {
    nodes: [SELF, 'b 10.64.2.0/24 fd00:64:2::/64 via 192.168.0.2 fd00:100::2'],
    config: {networks: [{backend: 'vxlan'}]},
  })
  node.api.create(
    nodeObject('c 10.64.3.0/24 fd00:64:3::/64 via 10.9.9.3', {
      metadata: {
        annotations: {
          'netgraft.dev/vtep-default': JSON.stringify({
            vni: 1,
            port: 8472,
            ends: [{ip: '10.9.9.3', mac: '02:00:00:00:00:03'}],
          }),
        },
      },
    }),
  )
  await node.says('published')
  await new Promise(r => setTimeout(r, 500))
  for (const words of ['-d link', 'addr', '-4 route', '-6 route', 'neigh show nud permanent'])
    console.log(await node.ip(words))
  console.log(node.agent.logs.map(l => JSON.stringify(l)).join('\n'))
  t.pass()
})
