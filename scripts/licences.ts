/**
 * Checks the licences of what is shipped: licences.ts [TREE]. Of the npm packages in the bundle, and of the Debian packages
 * in an image's tree if one is given. Fails on each that is not listed here.
 */
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import type {Component, Licence} from './sbom/component.ts'
import {packagesOf, readBundled} from './sbom/npm.ts'

/** Of SPDX, for code that becomes part of ours: those that let it be under Apache-2.0, and ask for their text alone. */
const BUNDLED = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
  'Unlicense',
])

/**
 * For programs and shared libraries of Debian, which are shipped beside ours as Debian builds them: SPDX's identifiers, and
 * Debian's names where there is none.
 */
const BESIDE = new Set([
  ...BUNDLED,
  ...['GPL-2.0-only', 'GPL-2.0-or-later', 'GPL-3.0-only', 'GPL-3.0-or-later', 'GPL', 'GPL-2', 'GPL-3'],
  ...['LGPL-2.0-or-later', 'LGPL-2.1-only', 'LGPL-2.1-or-later', 'LGPL-3.0-or-later', 'LGPL', 'LGPL-2.1', 'LGPL-3'],
  ...['GPL-2+ or LGPL-3+', 'GPL-3+ with Bison exception', 'GPL-3+ and ISC', 'GPL-3+ and BSD-4-clause-UC'],
  ...['BSD-2-clause-NetBSD', 'BSD-2-clause-author', 'BSD-2-clause-verbatim', 'BSD-3-clause-John-Birrell'],
  ...['BSD-3-clause-Regents', 'BSD-3-clause-Regents and BSD-2-clause-NetBSD', 'BSD-3-clause-author'],
  ...['BSD-3-clause-Aaron-D-Gifford', 'BSD-3-clause-Cambridge with BINARY LIBRARY-LIKE PACKAGES exception'],
  ...['BSD-4-clause', 'BSD-4-clause-UC', 'BSD-4-clause-Niels-Provos', 'BSLA', 'ISC-Original', 'X11', 'MIT/X11'],
  ...['Artistic', 'Beerware', 'FSFULLR', 'libutil-David-Nugent', 'permissive'],
  ...['public-domain', 'public-domain-md4', 'public-domain-md5', 'public-domain-sha1'],
  // Of manuals and logos in the same sources.
  ...['GFDL-1.2', 'GFDL-NIV-1.3', 'CC-BY-SA-4.0'],
  // iptables' name for the text of ISC.
  'custom',
])

/** An expression of "A OR B", "A AND B", or one identifier; with both or with exceptions it is not understood. */
function allows(text: string, allowed: ReadonlySet<string>): boolean {
  if (allowed.has(text)) return true
  const plain = text.replace(/^\((.*)\)$/, '$1')
  const either = plain.split(' OR ')
  return either.length > 1
    ? either.some(each => allowed.has(each))
    : plain.split(' AND ').every(each => allowed.has(each))
}

const textOf = (each: Licence): string =>
  'expression' in each ? each.expression : 'id' in each.license ? each.license.id : each.license.name

const packages = packagesOf(readBundled())
const problems = packages
  .filter(({license}) => license === undefined || !allows(license, BUNDLED))
  .map(({name, version, license}) => `npm package ${name} ${version}: ${license ?? 'says no licence'}`)
let count = packages.length

const [tree] = process.argv.slice(2)
if (tree !== undefined) {
  const file = join(tree, 'var/lib/db/sbom/netgraft.cdx.json')
  const {components} = JSON.parse(readFileSync(file, 'utf8')) as {components: readonly Component[]}
  const debs = components.filter(each => each.purl?.startsWith('pkg:deb/'))
  count += debs.length
  for (const {name, version, licenses = []} of debs) {
    const unknown = licenses.map(textOf).filter(text => !allows(text, BESIDE))
    if (licenses.length === 0) problems.push(`Debian package ${name} ${version}: its copyright file names no licence`)
    else if (unknown.length > 0) problems.push(`Debian package ${name} ${version}: ${unknown.join('; ')}`)
  }
}
for (const problem of problems) console.error(`licences: ${problem}: not among those that scripts/licences.ts allows`)
console.log(`licences: ${count} packages, ${problems.length} not allowed`)
process.exitCode = problems.length > 0 ? 1 : 0
