/** The npm packages whose code is in our files, by what the bundler wrote down and the lock file. */
import {readFileSync} from 'node:fs'
import {type Component, type Licence, purl} from './component.ts'

/** dist/bundled.json: for each of our files the packages in it, by their keys in package-lock.json. */
export type Bundled = Readonly<Record<string, readonly string[]>>

interface Locked {
  readonly version: string
  readonly license?: string
  /** "sha512-<base64>", of the package as it is downloaded. */
  readonly integrity?: string
}

export interface Package extends Locked {
  /** Its key in package-lock.json: the folder that it is installed in. */
  readonly key: string
  /** "@grpc/grpc-js". */
  readonly name: string
}

/** Throws where scripts/bundle.ts has not run. */
export const readBundled = (): Bundled => JSON.parse(readFileSync('dist/bundled.json', 'utf8'))

/** All of them, once each, sorted by key. Throws for one that the lock file does not have. */
export function packagesOf(bundled: Bundled): Package[] {
  const {packages} = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {packages: Record<string, Locked>}
  return [...new Set(Object.values(bundled).flat())].sort().map(key => {
    const locked = packages[key]
    if (!locked) throw new Error(`${key} is in the bundle and not in package-lock.json: run npm ci and scripts/build`)
    return {...locked, key, name: key.slice(key.lastIndexOf('node_modules/') + 'node_modules/'.length)}
  })
}

/** Where its licence is, below /usr/share/doc/netgraft/bundled. */
export const docFolder = ({key}: Package): string =>
  key.replace(/^node_modules\//, '').replaceAll('/node_modules/', '+')

/** A package may be there twice, in two folders: then it is one component. */
export const npmPurl = ({name, version}: Package): string => purl('npm', name.split('/'), version)

export function npmComponent(each: Package, files: readonly Component[]): Component {
  const {version, license, integrity} = each
  const [name, scope] = each.name.split('/').reverse() as [string, string | undefined]
  const [, digest] = /^sha512-(.+)$/.exec(integrity ?? '') ?? []
  return {
    type: 'library',
    'bom-ref': npmPurl(each),
    name,
    ...(scope !== undefined && {group: scope}),
    version,
    ...(license !== undefined && {licenses: [npmLicence(license)]}),
    purl: npmPurl(each),
    ...(digest !== undefined && {hashes: [{alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex')}]}),
    components: files,
  }
}

const npmLicence = (text: string): Licence => (/^[\w.+-]+$/.test(text) ? {license: {id: text}} : {expression: text})
