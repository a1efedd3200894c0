/** Parts of a CycloneDX 1.6 document, as far as we use them. https://cyclonedx.org/docs/1.6/json/ */
import {createHash} from 'node:crypto'
import {lstatSync, readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

export interface Component {
  readonly type: 'application' | 'library' | 'operating-system' | 'file'
  /** What `dependencies` name it by: the purl, or "file:/usr/bin/node". */
  readonly 'bom-ref'?: string
  readonly name: string
  /** The scope of an npm package, with its @. */
  readonly group?: string
  readonly version?: string
  readonly description?: string
  readonly supplier?: {readonly name: string}
  readonly licenses?: readonly Licence[]
  readonly purl?: string
  /** https://nvlpubs.nist.gov/nistpubs/Legacy/IR/nistir7695.pdf, "cpe:2.3:…". */
  readonly cpe?: string
  readonly hashes?: readonly Hash[]
  readonly properties?: readonly {readonly name: string; readonly value: string}[]
  readonly components?: readonly Component[]
}

export interface Hash {
  readonly alg: 'SHA-256' | 'SHA-512'
  /** Hexadecimal. */
  readonly content: string
}

/** `id`: of the SPDX list; `name`: anything else; `expression`: of SPDX, and then the only one. */
export type Licence =
  | {readonly license: {readonly id: string} | {readonly name: string}}
  | {readonly expression: string}

/** "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64". https://github.com/package-url/purl-spec */
export function purl(
  type: string,
  names: readonly string[],
  version: string,
  qualifiers: Readonly<Record<string, string>> = {},
): string {
  const path = names.map(encodeURIComponent).join('/')
  const rest = Object.entries(qualifiers)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
  // A colon stands for itself.
  const text = `pkg:${type}/${path}@${encodeURIComponent(version)}${rest.length > 0 ? `?${rest.join('&')}` : ''}`
  return text.replaceAll('%3A', ':')
}

/** Regular files below `root`, sorted: "/usr/bin/node". Links are not followed, and are no files. */
export function filesOf(root: string, folder = '/'): string[] {
  return readdirSync(join(root, folder))
    .sort()
    .flatMap(name => {
      const path = join(folder, name)
      const about = lstatSync(join(root, path))
      if (about.isDirectory()) return filesOf(root, path)
      return about.isFile() ? [path] : []
    })
}

/** `path`: within `root`. */
export const fileComponent = (root: string, path: string): Component => ({
  type: 'file',
  'bom-ref': `file:${path}`,
  name: path,
  hashes: [
    {
      alg: 'SHA-256',
      content: createHash('sha256')
        .update(readFileSync(join(root, path)))
        .digest('hex'),
    },
  ],
})
