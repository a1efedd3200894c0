/** Copies the licence, notice and package.json of each npm package that is in the bundle: bundled-licences.ts FOLDER. */
import {cpSync, mkdirSync, readdirSync} from 'node:fs'
import {join} from 'node:path'
import {docFolder, packagesOf, readBundled} from './sbom/npm.ts'

const [target] = process.argv.slice(2)
if (target === undefined) {
  console.error('Usage: node scripts/bundled-licences.ts FOLDER')
  process.exit(2)
}
for (const each of packagesOf(readBundled())) {
  const names = readdirSync(each.key).filter(name => /^(licen[cs]e|copying|notice)/i.test(name))
  const folder = join(target, docFolder(each))
  mkdirSync(folder, {recursive: true})
  for (const name of [...names, 'package.json']) cpSync(join(each.key, name), join(folder, name), {recursive: true})
}
