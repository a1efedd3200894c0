/** Bundles a program as the agent is bundled: from its sources, a process would first of all compile TypeScript. */
import {copyFile} from 'node:fs/promises'
import {basename, join} from 'node:path'
import {build} from 'esbuild'

const ADDON = join(import.meta.dirname, '..', 'build', 'netlink.node')

/** Resolves with the file to run; the compiled addon is beside it. */
export async function bundle(program: string, folder: string): Promise<string> {
  const outfile = join(folder, `${basename(program, '.ts')}.mjs`)
  await build({
    entryPoints: [program],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minifySyntax: true,
    minifyWhitespace: true,
    banner: {
      js: 'import {createRequire as benchRequire} from "node:module";const require=benchRequire(import.meta.url);',
    },
    logLevel: 'warning',
  })
  await copyFile(ADDON, join(folder, 'netlink.node'))
  return outfile
}
