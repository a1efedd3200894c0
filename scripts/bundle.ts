/** Bundles the agent and CLI into one file, dist/netgraft.js, and beside it what few agents ever load. */

import {readFileSync} from 'node:fs'
import {type BuildOptions, build, type Plugin} from 'esbuild'
import {NODE_FLAGS} from '../src/lab/node-flags.ts'

const {version} = JSON.parse(readFileSync('package.json', 'utf8')) as {version: string}

/**
 * client-node's config.js serves us for credentials alone; with it would come undici and the generated API classes,
 * which our transport does not use: 1.4 MB of code to parse and keep on every node. What stands in for them throws.
 */
const credentialsOnly: Plugin = {
  name: 'credentials-only',
  setup({onResolve, onLoad}) {
    const unused: Readonly<Record<string, readonly string[]>> = {
      undici: ['Agent', 'ProxyAgent', 'Request', 'Headers', 'FormData', 'fetch'],
      './gen/index.js': ['createConfiguration', 'ServerConfiguration'],
      './middleware.js': ['setHeaderMiddleware'],
    }
    onResolve({filter: /^(undici|\.\/gen\/index\.js|\.\/middleware\.js)$/}, ({path, importer}) =>
      importer.includes('@kubernetes/client-node/dist/config.js') ? {path, namespace: 'unused'} : undefined,
    )
    onLoad({filter: /.*/, namespace: 'unused'}, ({path}) => ({
      contents: unused[path]!.map(
        name => `export function ${name}() { throw new Error('${name} is not in the bundle') }`,
      ).join('\n'),
    }))
  },
}

/** gRPC is loaded when a runtime is asked something: as part of the one file it would cost 4 MB on every node. */
const GRPC = 'netgraft-grpc.js'
const grpcApart: Plugin = {
  name: 'grpc-apart',
  setup({onResolve}) {
    onResolve({filter: /\/grpc\.ts$/}, ({kind}) =>
      kind === 'dynamic-import' ? {path: `./${GRPC}`, external: true} : undefined,
    )
  },
}

const options: BuildOptions = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'eof',
  define: {NETGRAFT_VERSION: JSON.stringify(version)},
  plugins: [credentialsOnly, grpcApart],
  logLevel: 'warning',
}

// CommonJS dependencies ask for Node's own modules by require().
const REQUIRE =
  'import {createRequire as netgraftRequire} from "node:module";const require=netgraftRequire(import.meta.url);'

await build({...options, entryPoints: ['src/cri/grpc.ts'], outfile: `dist/${GRPC}`, banner: {js: REQUIRE}})
await build({
  ...options,
  entryPoints: ['src/cli/main.ts'],
  outfile: 'dist/netgraft.js',
  // A small young generation halves the agent's memory and costs nothing: what a list leaves behind dies at once.
  banner: {js: `#!/usr/bin/env -S node ${NODE_FLAGS.join(' ')}\n${REQUIRE}`},
})
