/** Bundles the agent and CLI into one file, dist/netgraft.js. */
import {readFileSync} from 'node:fs'
import {build} from 'esbuild'

const {version} = JSON.parse(readFileSync('package.json', 'utf8')) as {version: string}

await build({
  entryPoints: ['src/cli/main.ts'],
  outfile: 'dist/netgraft.js',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  minifySyntax: true,
  minifyWhitespace: true,
  sourcemap: false,
  legalComments: 'eof',
  define: {NETGRAFT_VERSION: JSON.stringify(version)},
  // CommonJS dependencies ask for Node's own modules by require().
  banner: {
    js: '#!/usr/bin/env node\nimport {createRequire as netgraftRequire} from "node:module";const require=netgraftRequire(import.meta.url);',
  },
  logLevel: 'warning',
})
