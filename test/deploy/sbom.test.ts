/** The image's bill of materials: valid by the official schema, whole, and nothing in it that is not there. Needs root. */
import {execFile, execFileSync} from 'node:child_process'
import {createHash} from 'node:crypto'
import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {Spec, Validation} from '@cyclonedx/cyclonedx-library'
import test from 'ava'
import {type Component, filesOf} from '../../scripts/sbom/component.ts'
import {ROOT} from './support/manifests.ts'
import {assemble, type Image} from './support/tree.ts'

const SBOM = '/var/lib/db/sbom/netgraft.cdx.json'
const run = promisify(execFile)

interface Bom {
  readonly metadata: {readonly timestamp?: string; readonly component: Component}
  readonly components: readonly Component[]
  readonly dependencies: readonly {readonly ref: string; readonly dependsOn: readonly string[]}[]
}

let image: Image
let text: string
let bom: Bom
test.before(async () => {
  image = await assemble()
  text = readFileSync(join(image.folder, SBOM), 'utf8')
  bom = JSON.parse(text)
})
test.after.always(() => image?.remove())

/** Those of a list and all below. */
const flat = (list: readonly Component[]): Component[] => list.flatMap(each => [each, ...flat(each.components ?? [])])
const everything = () => flat([bom.metadata.component, ...bom.components])
const withPurl = (start: string) => bom.components.filter(({purl}) => purl?.startsWith(start))

test('it is what the schema of CycloneDX 1.6 asks for', async t => {
  const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6)
  t.is(await validator.validate(text), null)
  const spoilt = text.replace('"type": "file"', '"type": "fiel"')
  t.truthy(await validator.validate(spoilt), 'a mistake would be found')
})

test('each file of the tree is in it once, as it is there, and no other', t => {
  const listed = everything().filter(({type}) => type === 'file')
  const there = filesOf(image.folder).filter(path => path !== SBOM)
  t.deepEqual(listed.map(({name}) => name).sort(), there.sort())
  for (const {name, hashes} of listed) {
    const content = createHash('sha256')
      .update(readFileSync(join(image.folder, name)))
      .digest('hex')
    t.deepEqual(hashes, [{alg: 'SHA-256', content}], name)
  }
})

test('no component is without what it is there for', t => {
  for (const each of bom.components) {
    t.true(each.type === 'operating-system' || each.components!.some(({type}) => type === 'file'), each.name)
    t.truthy(each.version, each.name)
    if (each.type !== 'operating-system') t.true(each.licenses!.length > 0, each.name)
  }
})

test('names are unique, and dependencies lead to what is there', t => {
  const refs = everything().flatMap(each => each['bom-ref'] ?? [])
  t.is(new Set(refs).size, refs.length)
  for (const {ref, dependsOn} of bom.dependencies)
    for (const each of [ref, ...dependsOn]) t.true(refs.includes(each), each)
})

test('Debian packages: those of the tree, as dpkg has them, with their files', t => {
  const names = readdirSync(join(image.folder, 'var/lib/dpkg/status.d'))
  const debs = withPurl('pkg:deb/').filter(({name}) => name !== 'musl-dev')
  t.deepEqual(debs.map(({name}) => name).sort(), names.sort())
  for (const {name, version, purl, properties} of [...debs, ...withPurl('pkg:deb/debian/musl-dev@')]) {
    const format = ['Version', 'Architecture', 'source:Package', 'source:Version'].map(each => `\${${each}}`).join(' ')
    const said = execFileSync('dpkg-query', ['-W', `-f=${format}\n`, name], {encoding: 'utf8'})
    const [installed, architecture, ...source] = said.split('\n')[0]!.split(' ')
    t.is(version, installed)
    t.deepEqual(
      properties?.map(({value}) => value),
      source,
    )
    t.regex(
      purl!,
      new RegExp(`^pkg:deb/debian/[^@?]+@[^@?]+\\?arch=${architecture}&distro=debian-\\d+(&upstream=[^&]+)?$`),
    )
  }
  const owner = (path: string) => bom.components.find(each => each.components?.some(({name}) => name === path))?.name
  t.deepEqual(
    ['/usr/sbin/nft', '/usr/bin/nsenter', '/usr/bin/env', '/etc/os-release', '/usr/share/doc/libc6/copyright'].map(
      owner,
    ),
    ['nftables', 'util-linux', 'coreutils', 'base-files', 'libc6'],
  )
  const libc = filesOf(image.folder).find(path => path.endsWith('/libc.so.6'))
  t.is(owner(libc!), 'libc6')
})

test('npm packages: those whose code is in our files, as they are locked', t => {
  const npm = withPurl('pkg:npm/')
  const {packages} = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'))
  const locked = new Set(Object.values(packages as Record<string, {version: string; integrity?: string}>).map(digestOf))
  for (const {group, name, version, hashes, components} of npm) {
    t.true(locked.has(`${version} ${hashes![0]!.content}`), name)
    const about = components!.find(each => each.name.endsWith('/package.json'))!
    const said = JSON.parse(readFileSync(join(image.folder, about.name), 'utf8'))
    t.like(said, {name: group ? `${group}/${name}` : name, version})
    t.true(
      components!.some(each => /\/(licen[cs]e|copying)[^/]*$/i.test(each.name)),
      `${name} without its licence`,
    )
  }
  const names = npm.map(({group, name}) => (group ? `${group}/${name}` : name))
  for (const name of ['rxjs', 'yaml', '@kubernetes/client-node', 'etcd3', 'protobufjs'])
    t.true(names.includes(name), name)
  // Tools, what the bundler leaves out, and headers.
  for (const name of ['typescript', 'esbuild', 'undici', 'node-api-headers']) t.false(names.includes(name), name)
})

const digestOf = ({version, integrity = ''}: {version: string; integrity?: string}): string =>
  `${version} ${Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex')}`

test('Node, and what is in it', t => {
  const node = bom.components.find(({name}) => name === 'node')!
  t.is(
    node.version,
    execFileSync(join(image.folder, 'usr/bin/node'), ['--version'], {encoding: 'utf8'}).trim().slice(1),
  )
  t.is(node.cpe, `cpe:2.3:a:nodejs:node.js:${node.version}:*:*:*:*:*:*:*`)
  t.true(node.components!.some(({name, version}) => name === 'openssl' && version === process.versions.openssl))
})

test('the same system makes the same tree, to the byte and the second', async t => {
  const parent = mkdtempSync(join(tmpdir(), 'ng-sbom-'))
  t.teardown(() => rmSync(parent, {recursive: true, force: true, maxRetries: 5}))
  // Of its own: dist/ may be built anew meanwhile.
  const repository = join(parent, 'repository')
  for (const name of ['scripts', 'dist', 'build', 'package.json', 'package-lock.json', 'LICENSE'])
    cpSync(join(ROOT, name), join(repository, name), {recursive: true})
  symlinkSync(join(ROOT, 'node_modules'), join(repository, 'node_modules'))
  const env = {...process.env, NODE: process.execPath, SOURCE_DATE_EPOCH: '1700000000'}
  const states: string[][] = []
  for (const name of ['one', 'two']) {
    const folder = join(parent, name)
    await run(join(repository, 'scripts', 'image-tree'), [folder], {env})
    const {metadata} = JSON.parse(readFileSync(join(folder, SBOM), 'utf8')) as Bom
    t.is(metadata.timestamp, '2023-11-14T22:13:20.000Z')
    states.push(filesOf(folder).map(path => stateOf(folder, path)))
    rmSync(folder, {recursive: true})
  }
  const [one, two] = states as [string[], string[]]
  t.deepEqual(
    two.filter(state => !one.includes(state)),
    [],
  )
  t.is(one.length, two.length)
  t.true(one.every(state => state.endsWith(' 1700000000000')))
})

function stateOf(folder: string, path: string): string {
  const {mode, mtimeMs} = lstatSync(join(folder, path))
  const digest = createHash('sha256')
    .update(readFileSync(join(folder, path)))
    .digest('hex')
  return `${path} ${mode.toString(8)} ${digest} ${mtimeMs}`
}

test('a file that belongs to nothing is refused', async t => {
  const parent = mkdtempSync(join(tmpdir(), 'ng-sbom-'))
  t.teardown(() => rmSync(parent, {recursive: true, force: true, maxRetries: 5}))
  const tree = join(parent, 'tree')
  for (const folder of ['usr/bin', 'var/lib/dpkg/status.d']) mkdirSync(join(tree, folder), {recursive: true})
  for (const path of ['usr/bin/nft', 'usr/bin/stray']) writeFileSync(join(tree, path), '')
  writeFileSync(join(parent, 'owners'), 'nftables /usr/bin/nft\n')
  const error = await t.throwsAsync(
    run(process.execPath, [join(ROOT, 'scripts', 'sbom.ts'), tree, join(parent, 'owners')], {cwd: ROOT}),
  )
  t.regex(String(error?.message), /\/usr\/bin\/stray is in the tree and belongs to no component/)
})

test('all licences are among those that are allowed', async t => {
  const {stdout} = await run(process.execPath, [join(ROOT, 'scripts', 'licences.ts'), image.folder], {cwd: ROOT})
  t.is(stdout, `licences: ${withPurl('pkg:deb/').length + lockedCount()} packages, 0 not allowed\n`)
})

function lockedCount(): number {
  const bundled = JSON.parse(readFileSync(join(ROOT, 'dist', 'bundled.json'), 'utf8')) as Record<string, string[]>
  return new Set(Object.values(bundled).flat()).size
}
