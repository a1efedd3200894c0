/**
 * Writes the image's bill of materials into its tree: sbom.ts TREE OWNERS. OWNERS has a line "<Debian package> <path>" for
 * each file of the tree that a package brought there. scripts/image-tree calls it.
 *
 * CycloneDX 1.6 in JSON: of the two forms that scanners look for in file systems (Trivy by the names *.cdx.json and
 * *.spdx.json, Syft by the same if it is told to) it is the one with files below their packages, and with a schema that npm
 * has. Trivy reads the first level only: what advisories are written for stands there, files one below. The folder is that
 * of apko's images. SOURCE_DATE_EPOCH is its time; without it, it has none.
 */
import {execFileSync} from 'node:child_process'
import {createHash} from 'node:crypto'
import {existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {basename, dirname, join} from 'node:path'
import {type Component, fileComponent, filesOf, purl} from './sbom/component.ts'
import {type DebianPackage, type Distribution, debComponent, debPurl, parseStatus} from './sbom/debian.ts'
import {docFolder, npmComponent, npmPurl, packagesOf, readBundled} from './sbom/npm.ts'

/** In the tree; the one file that it does not list. */
const SBOM = '/var/lib/db/sbom/netgraft.cdx.json'
const DOC = '/usr/share/doc/netgraft'

const [tree, ownersFile] = process.argv.slice(2)
if (tree === undefined || ownersFile === undefined) {
  console.error('Usage: node scripts/sbom.ts TREE OWNERS')
  process.exit(2)
}
const inTree = (path: string) => readFileSync(join(tree, path), 'utf8')

const owners = new Map<string, string>()
for (const line of readFileSync(ownersFile, 'utf8').split('\n').filter(Boolean)) {
  const [name, path] = line.split(' ') as [string, string]
  owners.set(path, name)
}
const bundled = readBundled()
const packages = packagesOf(bundled)

/** "deb libc6", "npm @grpc/grpc-js", "node", "musl", "netgraft"; undefined: nobody's. */
function ownerOf(path: string): string | undefined {
  const [, debian] =
    /^\/var\/lib\/dpkg\/status\.d\/([^/]+)$/.exec(path) ?? /^\/usr\/share\/doc\/([^/]+)\//.exec(path) ?? []
  const known = owners.get(path) ?? (debian === 'netgraft' ? undefined : debian)
  if (known !== undefined) return `deb ${known}`
  if (path === '/usr/bin/node' || path === `${DOC}/LICENSE.node`) return 'node'
  if (path === `${DOC}/copyright.musl`) return 'musl'
  const npm = packages.find(each => path.startsWith(`${DOC}/bundled/${docFolder(each)}/`))
  if (npm) return `npm ${npmPurl(npm)}`
  const ours = [`${DOC}/LICENSE`, '/etc/passwd', '/etc/group', '/etc/nsswitch.conf']
  return ours.includes(path) || path.startsWith('/usr/lib/netgraft/') ? 'netgraft' : undefined
}

const files = new Map<string, Component[]>()
for (const path of filesOf(tree)) {
  if (path === SBOM) continue
  const owner = ownerOf(path)
  if (owner === undefined)
    throw new Error(`${path} is in the tree and belongs to no component: name its owner in scripts/sbom.ts`)
  files.set(owner, [...(files.get(owner) ?? []), fileComponent(tree, path)])
}
const filesFrom = (owner: string): readonly Component[] => files.get(owner) ?? []

const release = inTree('/etc/os-release')
const [distribution, debs, ours] = [distributionOf(release), debianPackages(), ownComponent()]
const components = [
  {type: 'operating-system', 'bom-ref': 'os', name: distribution.id, version: distribution.version},
  ...debs.map(each =>
    debComponent(each, distribution, inTree(`/usr/share/doc/${each.name}/copyright`), filesFrom(`deb ${each.name}`)),
  ),
  ...(files.has('node') ? [nodeComponent()] : []),
  ...(files.has('musl') ? [muslComponent()] : []),
  ...packages
    .filter((each, i) => packages.findIndex(other => npmPurl(other) === npmPurl(each)) === i)
    .map(each => npmComponent(each, filesFrom(`npm ${npmPurl(each)}`))),
] satisfies Component[]

/** Throws without ID and VERSION_ID. */
function distributionOf(text: string): Distribution {
  const [id, version] = ['ID', 'VERSION_ID'].map(key => new RegExp(`^${key}="?([^"\n]+)"?$`, 'm').exec(text)?.[1])
  if (!id || !version)
    throw new Error('/etc/os-release says no ID and VERSION_ID: the image is built on a Debian release')
  return {id, version}
}

function debianPackages(): DebianPackage[] {
  return filesOf(tree!, '/var/lib/dpkg/status.d').map(path => parseStatus(inTree(path)))
}

function ownComponent(): Component {
  const {version, description, license} = JSON.parse(readFileSync('package.json', 'utf8'))
  return {
    type: 'application',
    'bom-ref': 'netgraft',
    name: 'netgraft',
    version,
    description,
    licenses: [{license: {id: license}}],
    purl: purl('generic', ['netgraft'], version),
    components: filesFrom('netgraft'),
  }
}

/** Node, and below it what is compiled into it. Advisories for those are handed on as Node's. */
function nodeComponent(): Component {
  const {node, modules: _modules, napi: _napi, unicode: _unicode, cldr: _cldr, tz: _tz, ...inside} = process.versions
  return {
    type: 'application',
    'bom-ref': purl('generic', ['node'], node),
    name: 'node',
    version: node,
    licenses: [{license: {id: 'MIT'}}],
    purl: purl('generic', ['node'], node),
    cpe: `cpe:2.3:a:nodejs:node.js:${node}:*:*:*:*:*:*:*`,
    components: [
      ...filesFrom('node'),
      ...Object.entries(inside)
        .filter((entry): entry is [string, string] => Boolean(entry[1]))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, version]): Component => ({type: 'library', name, version})),
    ],
  }
}

/** The C library within the CNI plugin's program, which is static: the package that it was linked from. */
function muslComponent(): Component {
  const musl = parseStatus(execFileSync('dpkg-query', ['-s', 'musl-dev'], {encoding: 'utf8'}))
  return debComponent(musl, distribution, inTree(`${DOC}/copyright.musl`), filesFrom('musl'))
}

const refsOf = (list: readonly Component[]): string[] => list.flatMap(each => each['bom-ref'] ?? [])
const dependencies = [
  {ref: 'netgraft', dependsOn: refsOf(components)},
  // Which packages' code is in which of our files.
  ...Object.entries(bundled).map(([file, keys]) => ({
    ref: `file:/usr/lib/netgraft/${file}`,
    dependsOn: [...new Set(packages.filter(({key}) => keys.includes(key)).map(npmPurl))],
  })),
  ...debs.map(each => ({
    ref: debPurl(each, distribution),
    dependsOn: debs.filter(({name}) => each.depends.includes(name)).map(other => debPurl(other, distribution)),
  })),
]

const epoch = process.env.SOURCE_DATE_EPOCH
const document = {
  metadata: {
    ...(epoch && {timestamp: new Date(Number(epoch) * 1000).toISOString()}),
    lifecycles: [{phase: 'build'}],
    tools: {components: [{type: 'application', name: basename(import.meta.filename), version: ours.version}]},
    component: ours,
  },
  components,
  dependencies,
}
// A name that follows from the content: the same tree has the same document.
const digest = createHash('sha256').update(JSON.stringify(document)).digest('hex')
const [, a, b, c, d, e] = /^(.{8})(.{4}).(.{3}).(.{3})(.{12})/.exec(digest)!
const head = {
  $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
  bomFormat: 'CycloneDX',
  specVersion: '1.6',
  serialNumber: `urn:uuid:${a}-${b}-8${c}-a${d}-${e}`,
  version: 1,
}
const target = join(tree, SBOM)
if (existsSync(target)) throw new Error(`${target} is there already`)
mkdirSync(dirname(target), {recursive: true})
writeFileSync(target, `${JSON.stringify({...head, ...document}, undefined, 1)}\n`)
