/**
 * `netgraft <verb>`: the door. Exit status: 0 done, 1 failed, 2 the command line or the configuration is wrong, or there is
 * no agent, 3 the state folder is of a newer agent.
 */
import {existsSync} from 'node:fs'
import {join} from 'node:path'
import {cleanup} from '../agent/cleanup.ts'
import {socketPath, spoolFolder} from '../agent/cni-folders.ts'
import {readConfig} from '../agent/config.ts'
import {runAgent} from '../agent/main.ts'
import {refuseNewerState} from '../agent/state-versions.ts'
import {NewerState} from '../cni/journal-version.ts'
import {install, type Outcome, uninstall} from '../install/install.ts'
import {parseConfig} from '../model/config.ts'
import {ConfigError} from '../model/config-problems.ts'
import {fileLocks} from '../netlink/file-lock.ts'
import {AgentAbsent} from './ask.ts'
import {runChecks} from './check.ts'
import {SAMPLE} from './checks/path.ts'
import {options, UsageError} from './options.ts'
import {bundleName, makeBundle, missingText, writeBundle} from './support-bundle.ts'
import {formatChecks} from './text/check.ts'
import {VERSION} from './version.ts'
import {configOf, isJson, type Screen, show, VIEW_OPTIONS, VIEWS} from './views.ts'

/** Where runtimes look unless they are told otherwise. */
const BIN_FOLDER = '/opt/cni/bin'
const CONF_FOLDER = '/etc/cni/net.d'
const CONF_NAME = '05-netgraft.conflist'

const USAGE = `Usage: netgraft <command> [options]

  agent --config FILE      run the node agent until it is told to stop (SIGTERM, SIGINT); the routes stay
  check-config FILE        say everything that is wrong with a configuration
  cleanup [--config FILE]  remove every route and link of the agent from this node; without a file, of the default network
  install [options]        put the CNI plugin and its conflist where this node's container runtime looks for them; may
                           be repeated at every start
    --cni-bin DIR          the runtime's plugins (${BIN_FOLDER})
    --cni-conf DIR         the runtime's configurations (${CONF_FOLDER})
    --conf-name NAME       the conflist's name, which must come first there (${CONF_NAME})
    --any-order            it need not come first: the runtime chooses by the network's name
    --keep-default         the network that comes first today goes on to serve eth0
    --shim FILE            the program to install (netgraft-cni beside this one)
    --config FILE          the agent's configuration, if it has one
  uninstall [--cni-bin DIR] [--cni-conf DIR]
                           take back what install has put there
  version                  print the version

What the agent of this node knows and does (root alone may ask it):

  status                   whether all of it works: networks, peers, conflicts, CNI, pairs, API server, store
  routes                   for each node's pod ranges: the way that is wanted, and what stands, or why it does not
  attachments              the networks of pods: addresses, state, trouble
  pairs                    the pairs of this node's pods: peer, kind, state, reason
  explain WHAT             what is known of an address, a range, a pod (namespace/name), a node or an interface
  plan                     what would be written now, and why, without doing it; what is not as it is asked for
  check [--cni-bin DIR] [--cni-conf DIR] [--all-peers]
                           looks at the node itself, with the agent or without; fails if something is wrong. Tries the way
                           to ${SAMPLE} other nodes, or to all of them
    -o, --output json      for programs
    --config FILE          the agent's configuration, if its folders are not the usual ones
  support-bundle [--output FILE] [--cni-bin DIR] [--cni-conf DIR]
                           writes all of this, the kernel's state, metrics and log into one .tar.gz, without secrets and
                           with the agent or without; FILE - is standard output
`

const COMMANDS: Readonly<Record<string, (args: string[]) => Promise<number>>> = {
  agent: async args => {
    const {values} = options(args, {config: {type: 'string'}}, 0)
    if (values.config === undefined) throw new UsageError('agent needs --config FILE')
    await runAgent({configFile: values.config, env: process.env, version: VERSION, signal: stopSignal()})
    return 0
  },
  'check-config': async args => {
    const {positionals} = options(args, {}, 1)
    await readConfig(positionals[0]!)
    print(`${positionals[0]} is valid`)
    return 0
  },
  cleanup: async args => {
    const {values} = options(args, {config: {type: 'string'}}, 0)
    const config = values.config === undefined ? parseConfig({}) : await readConfig(values.config)
    const {removed, failed} = await cleanup(config.networks.map(network => network.protocol))
    for (const what of removed) print(`removed ${what}`)
    for (const why of failed) complain(why)
    print(`${removed.length} removed, ${failed.length} failed`)
    return failed.length > 0 ? 1 : 0
  },
  install: async args => {
    const {values} = options(args, {...FOLDERS, ...INSTALL}, 0)
    const config = values.config === undefined ? parseConfig({}) : await readConfig(values.config)
    await refuseNewerState(config.folders.state)
    const outcome = await install({
      ...foldersOf(values),
      shim: values.shim ?? builtShim(),
      confName: values['conf-name'] ?? CONF_NAME,
      keepDefault: values['keep-default'] ?? false,
      anyOrder: values['any-order'] ?? false,
      socket: socketPath(config),
      spool: spoolFolder(config),
    })
    report(outcome)
    return 0
  },
  uninstall: async args => {
    const {values} = options(args, FOLDERS, 0)
    const outcome = await uninstall(foldersOf(values))
    report(outcome)
    if (outcome.files.length === 0) print('nothing to remove')
    return 0
  },
  ...Object.fromEntries(Object.entries(VIEWS).map(([verb, run]) => [verb, (args: string[]) => run(args, screen())])),
  check: async args => {
    const {values} = options(args, {...VIEW_OPTIONS, ...FOLDERS, 'all-peers': {type: 'boolean'}}, 0)
    const json = isJson(values)
    const {binFolder, confFolder} = foldersOf(values)
    const config = await configOf(values)
    const place = {binFolder, confFolder, shim: builtShim()}
    const allPeers = values['all-peers'] ?? false
    const checks = await runChecks({...place, config, env: process.env, version: VERSION, allPeers})
    show({checks}, () => formatChecks(checks), json, screen())
    return checks.some(({state}) => state === 'failed') ? 1 : 0
  },
  'support-bundle': async args => {
    const {values} = options(args, {...VIEW_OPTIONS, ...FOLDERS}, 0)
    const {output} = values
    if (output === 'json' || output === 'table' || output === '')
      throw new UsageError('a bundle is a file; name it with --output FILE, or - for standard output')
    if (output === '-' && process.stdout.isTTY)
      throw new UsageError(
        'a bundle is no text for a terminal; name a file with --output, or send it somewhere: … > FILE',
      )
    // A configuration that is wrong is one more thing to be told of.
    const config = await configOf(values).catch((error: Error) => error)
    const [known, problem] = config instanceof Error ? [parseConfig({}), config] : [config, undefined]
    const place = {...foldersOf(values), shim: builtShim()}
    const name = bundleName(process.env, new Date())
    const make = async (): Promise<Buffer> => {
      const options = {...place, config: known, env: process.env, version: VERSION}
      const {bytes, missing} = await makeBundle(name, options, problem)
      for (const each of missing) complain(`missing: ${missingText(each)}`)
      return bytes
    }
    if (output === '-') {
      const bytes = await make()
      await new Promise(resolve => process.stdout.write(bytes, resolve))
      return 0
    }
    const path = output ?? `${name}.tar.gz`
    await writeBundle(path, make)
    print(`${path}: read it before you pass it on; names and addresses of pods and nodes are in it`)
    return 0
  },
  version: async args => {
    options(args, {}, 0)
    print(VERSION)
    return 0
  },
}

async function main([command = '', ...args]: string[]): Promise<number> {
  try {
    if (['--help', '-h', 'help', ''].includes(command) || args.includes('--help') || args.includes('-h')) {
      process.stdout.write(USAGE)
      return command === '' ? 2 : 0
    }
    const run = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined
    if (!run) throw new UsageError(`there is no command "${command}"`)
    return await run(args)
  } catch (error) {
    if (error instanceof ConfigError) complain(error.message)
    else if (error instanceof UsageError) complain(`${error.message}\n\n${USAGE}`)
    else complain(error instanceof Error ? error.message : String(error))
    if (error instanceof NewerState) return 3
    return TWO.some(each => error instanceof each) ? 2 : 1
  }
}

const TWO = [ConfigError, UsageError, AgentAbsent]

/** https://no-color.org: set, and not empty. */
const screen = (): Screen => ({
  print: text => void process.stdout.write(text),
  colour: process.stdout.isTTY === true && !process.env.NO_COLOR,
})

const FOLDERS = {'cni-bin': {type: 'string'}, 'cni-conf': {type: 'string'}} as const
const INSTALL = {
  shim: {type: 'string'},
  config: {type: 'string'},
  'conf-name': {type: 'string'},
  'keep-default': {type: 'boolean'},
  'any-order': {type: 'boolean'},
} as const

const foldersOf = (values: {readonly 'cni-bin'?: string; readonly 'cni-conf'?: string}) => ({
  binFolder: values['cni-bin'] ?? BIN_FOLDER,
  confFolder: values['cni-conf'] ?? CONF_FOLDER,
  locks: fileLocks,
})

/** Beside the bundle; of a checkout, the one that it has built. */
function builtShim(): string {
  const beside = join(import.meta.dirname, 'netgraft-cni')
  return existsSync(beside) ? beside : join(import.meta.dirname, '..', '..', 'build', 'netgraft-cni')
}

/** The first signal stops in an orderly way, a second one at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(1)
      stop.abort()
    })
  }
  return stop.signal
}

function report({files, notes}: Outcome): void {
  for (const what of files) print(what)
  for (const note of notes) print(`note: ${note}`)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function complain(line: string): void {
  process.stderr.write(`netgraft: ${line}\n`)
}

process.exitCode = await main(process.argv.slice(2))
// Whatever may still hold the event loop must not keep a stopped agent from ending.
setTimeout(() => process.exit(), 2000).unref()
