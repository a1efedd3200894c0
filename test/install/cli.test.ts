/** The verbs, as an operator types them. Needs root. */
import {spawnSync} from 'node:child_process'
import {readdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import {CONF, FOREIGN, hostOf, readConflist, writeJson} from './support.ts'

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts')

function netgraft(...words: string[]) {
  const {status, stdout, stderr} = spawnSync(process.execPath, ['--no-warnings', MAIN, ...words], {encoding: 'utf8'})
  return {status, stdout, stderr}
}

test('install, again, and uninstall', t => {
  const host = hostOf(t)
  const folders = ['--cni-bin', host.binFolder, '--cni-conf', host.confFolder]
  const config = join(host.root, 'config.yaml')
  writeFileSync(config, 'folders: {state: /srv/netgraft}\n')
  writeJson(join(host.confFolder, '10-flannel.conflist'), FOREIGN)
  const [bin, conf] = [join(host.binFolder, 'netgraft'), join(host.confFolder, CONF)]
  const words = ['install', ...folders, '--shim', host.shim, '--config', config, '--keep-default']
  t.deepEqual(netgraft(...words), {
    status: 0,
    stdout: [
      `installed ${bin}`,
      `installed ${conf}`,
      `note: ${join(host.confFolder, '10-flannel.conflist')} stays in charge of eth0`,
      `note: ${host.binFolder} has no portmap: host ports of pods are not served`,
      `note: ${host.binFolder} has no bandwidth: bandwidth limits of pods are not kept`,
      '',
    ].join('\n'),
    stderr: '',
  })
  const [plugin] = readConflist(host).plugins
  t.deepEqual([plugin.spool, plugin.socket, plugin.delegates], ['/srv/netgraft/spool', undefined, [FOREIGN]])
  t.regex(netgraft(...words).stdout, /^unchanged .*\nunchanged .*\n/)

  t.deepEqual(netgraft('uninstall', ...folders), {status: 0, stdout: `removed ${conf}\nremoved ${bin}\n`, stderr: ''})
  t.deepEqual(netgraft('uninstall', ...folders), {status: 0, stdout: 'nothing to remove\n', stderr: ''})
  t.deepEqual(readdirSync(host.confFolder), ['10-flannel.conflist'])
})

test('what cannot be done is said on stderr, and by the exit status', t => {
  const host = hostOf(t)
  const folders = ['--cni-bin', host.binFolder, '--cni-conf', host.confFolder]
  writeJson(join(host.confFolder, '00-multus.conf'), FOREIGN)
  const {status, stdout, stderr} = netgraft('install', ...folders, '--shim', host.shim)
  t.deepEqual([status, stdout], [1, ''])
  t.regex(stderr, /^netgraft: \/.*00-multus\.conf comes before "05-netgraft\.conflist", and the runtime takes .*\n$/)
  t.is(netgraft('install', '--keep-default=yes').status, 2)
  t.is(netgraft('install', 'now').status, 2)
  t.is(netgraft('uninstall', '--shim', host.shim).status, 2)
  t.is(netgraft('install', ...folders, '--shim', host.shim, '--config', '/none.yaml').status, 2)
  const other = ['--any-order', '--conf-name', '99-late.conflist']
  t.is(netgraft('install', ...folders, '--shim', host.shim, ...other).status, 0)
  t.deepEqual(readdirSync(host.confFolder), ['00-multus.conf', '99-late.conflist'])
})
