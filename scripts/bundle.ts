/** Bundles the agent and CLI into one file, dist/netgraft.js, and beside it what few agents ever load. */

import {readFileSync, writeFileSync} from 'node:fs'
import {readFile} from 'node:fs/promises'
import {createRequire} from 'node:module'
import {basename, dirname, join} from 'node:path'
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

/**
 * Loaded when a runtime or etcd is asked something: as parts of the one file they would cost 4 MB and more on every node.
 * By the source's name, and what is bundled.
 */
const APART: Readonly<Record<string, string>> = {
  'grpc.ts': 'netgraft-grpc.js',
  'etcd-client.ts': 'netgraft-etcd.js',
}
const apart: Plugin = {
  name: 'apart',
  setup({onResolve}) {
    onResolve({filter: /\/(grpc|etcd-client)\.ts$/}, ({kind, path}) =>
      kind === 'dynamic-import' ? {path: `./${APART[basename(path)]}`, external: true} : undefined,
    )
  },
}

/** etcd3 reads its protocol's description from files beside it, and parses them: here it is part of the code. */
const protocolInside: Plugin = {
  name: 'protocol-inside',
  setup({onLoad}) {
    onLoad({filter: /\/etcd3\/lib\/connection-pool\.js$/}, async ({path}) => {
      const [loader, protobuf] = [createRequire(path).resolve('@grpc/proto-loader'), 'protobufjs']
      const {Root} = createRequire(loader)(protobuf) as typeof import('protobufjs')
      const root = new Root().loadSync(join(dirname(path), '..', 'proto', 'rpc.proto'), {keepCase: true})
      const text = await readFile(path, 'utf8')
      const contents = text.replace(/\.loadSync\)\(`[^`]+rpc\.proto`,/, () => `.fromJSON)(${JSON.stringify(root)},`)
      if (contents === text) throw new Error(`${path} does not load its protocol in the way that we know`)
      return {contents}
    })
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
  plugins: [credentialsOnly, apart, protocolInside],
  logLevel: 'warning',
}

// CommonJS dependencies ask for Node's own modules by require().
const REQUIRE =
  'import {createRequire as netgraftRequire} from "node:module";const require=netgraftRequire(import.meta.url);'

/** For each file of dist the packages whose code is in it, by their keys in package-lock.json. scripts/sbom.ts reads it. */
const bundled: Record<string, readonly string[]> = {}

async function bundle(settings: BuildOptions): Promise<void> {
  const {metafile} = await build({...options, ...settings, metafile: true})
  for (const [file, {inputs}] of Object.entries(metafile.outputs)) {
    const packages = Object.entries(inputs)
      .filter(([, {bytesInOutput}]) => bytesInOutput > 0)
      .map(([path]) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0])
    bundled[basename(file)] = [...new Set(packages.filter(key => key !== undefined))].sort()
  }
}

for (const entry of ['src/cri/grpc.ts', 'src/store/etcd-client.ts'])
  await bundle({entryPoints: [entry], outfile: `dist/${APART[basename(entry)]}`, banner: {js: REQUIRE}})
await bundle({
  entryPoints: ['src/cli/main.ts'],
  outfile: 'dist/netgraft.js',
  // A small young generation halves the agent's memory and costs nothing: what a list leaves behind dies at once.
  banner: {js: `#!/usr/bin/env -S node ${NODE_FLAGS.join(' ')}\n${REQUIRE}`},
})
writeFileSync('dist/bundled.json', `${JSON.stringify(bundled, undefined, 2)}\n`)
