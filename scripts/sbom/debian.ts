/** Debian packages, by what dpkg says of them and their copyright files. */
import {type Component, type Licence, purl} from './component.ts'

export interface DebianPackage {
  readonly name: string
  readonly version: string
  readonly architecture: string
  readonly maintainer: string
  /** What it was built from, and under which advisories are filed. */
  readonly source: {readonly name: string; readonly version: string}
  /** Names, without versions; of alternatives all. */
  readonly depends: readonly string[]
}

/** `text`: a paragraph of dpkg's status file. Throws if it is none. */
export function parseStatus(text: string): DebianPackage {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1]
  const [name, version, architecture] = ['Package', 'Version', 'Architecture'].map(field)
  if (!name || !version || !architecture) throw new Error(`this is no paragraph of dpkg's: ${text.slice(0, 80)}`)
  const [, source = name, sourceVersion = version] = /^(\S+)(?: \((.*)\))?$/.exec(field('Source') ?? '') ?? []
  const depends = [field('Pre-Depends'), field('Depends')].flatMap(list => list?.split(/[,|]/) ?? [])
  return {
    name,
    version,
    architecture,
    maintainer: field('Maintainer') ?? '',
    source: {name: source, version: sourceVersion},
    depends: [...new Set(depends.map(each => each.trim().replace(/[: (].*$/, '')))],
  }
}

/** `id`, `version`: of /etc/os-release. */
export interface Distribution {
  readonly id: string
  readonly version: string
}

export const debPurl = ({name, version, architecture, source}: DebianPackage, {id, version: release}: Distribution) =>
  purl('deb', [id, name], version, {
    arch: architecture,
    distro: `${id}-${release}`,
    ...(source.name !== name && {upstream: `${source.name}@${source.version}`}),
  })

export function debComponent(
  each: DebianPackage,
  distribution: Distribution,
  copyright: string,
  files: readonly Component[],
): Component {
  const {name, version, maintainer, source} = each
  return {
    type: 'library',
    'bom-ref': debPurl(each, distribution),
    name,
    version,
    ...(maintainer !== '' && {supplier: {name: maintainer.replace(/ <.*/, '')}}),
    licenses: licencesIn(copyright),
    purl: debPurl(each, distribution),
    // Trivy does not read `upstream`, and looks for advisories by the source's name.
    properties: [
      {name: 'aquasecurity:trivy:SrcName', value: source.name},
      {name: 'aquasecurity:trivy:SrcVersion', value: source.version},
    ],
    components: files,
  }
}

/** Debian's short names that mean exactly one of SPDX's. */
const SPDX: Readonly<Record<string, string>> = {
  Expat: 'MIT',
  ISC: 'ISC',
  X11: 'X11',
  'BSD-2-clause': 'BSD-2-Clause',
  'BSD-3-clause': 'BSD-3-Clause',
  'CC-BY-SA-4.0': 'CC-BY-SA-4.0',
  'GPL-2': 'GPL-2.0-only',
  'GPL-2+': 'GPL-2.0-or-later',
  'GPL-3': 'GPL-3.0-only',
  'GPL-3+': 'GPL-3.0-or-later',
  'LGPL-2+': 'LGPL-2.0-or-later',
  'LGPL-2.1': 'LGPL-2.1-only',
  'LGPL-2.1+': 'LGPL-2.1-or-later',
  'LGPL-3+': 'LGPL-3.0-or-later',
}

/**
 * All that are named, of whatever part of the source: those of the part that is shipped are among them. From files in
 * Debian's machine-readable form; from others by the licence texts that they refer to, which says no more than a name.
 * https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
 */
export function licencesIn(copyright: string): Licence[] {
  const readable = /^Format: /.test(copyright)
  const names = readable
    ? [...copyright.matchAll(/^License: *(\S.*)$/gm)].map(([, name]) => name!.trim())
    : [...copyright.matchAll(/\/common-licenses\/([A-Za-z0-9.-]*[A-Za-z0-9])/g)].map(([, name]) => name!)
  return [...new Set(names)].sort().map(name => {
    const id = readable ? SPDX[name] : undefined
    return {license: id === undefined ? {name} : {id}}
  })
}
