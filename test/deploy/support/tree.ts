/** The image's files, as scripts/image-tree assembles them, and what the Dockerfile says beside them. Needs root. */
import {execFileSync} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {built} from '../../agent/support/node.ts'
import {ROOT} from './manifests.ts'

export interface Image {
  readonly folder: string
  readonly entrypoint: readonly string[]
  readonly env: Readonly<Record<string, string>>
  remove(): void
}

export async function assemble(): Promise<Image> {
  await built()
  const parent = mkdtempSync(join(tmpdir(), 'ng-image-'))
  const folder = join(parent, 'tree')
  execFileSync(join(ROOT, 'scripts', 'image-tree'), [folder], {
    env: {...process.env, NODE: process.execPath},
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
  const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '))
  const [, entrypoint = '[]'] = /^ENTRYPOINT (.*)$/m.exec(last) ?? []
  const [, path = ''] = /^ENV PATH=(.*)$/m.exec(last) ?? []
  return {
    folder,
    entrypoint: JSON.parse(entrypoint),
    env: {PATH: path},
    remove: () => rmSync(parent, {recursive: true, force: true, maxRetries: 5}),
  }
}
