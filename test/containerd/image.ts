/** A container image made on the spot, so that nothing has to be pulled: static busybox with its applets. */
import {createHash} from 'node:crypto'
import {copyFile, mkdir, readFile, symlink, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {run} from './run.ts'

/** The name that containers ask for. Does not exist in any registry: nothing is ever pulled by accident. */
export const IMAGE = 'localhost/netgraft-test:1'

/** Does nothing for as long as it is let. */
export const IDLE = ['/bin/sleep', '2147483647']

const BUSYBOX = '/bin/busybox'

/**
 * Writes a docker-archive tar (one layer, its config, a manifest) of an image that idles: of a pod's pause container and
 * of its other ones alike. `folder` is for what it is made from.
 */
export async function writeImage(folder: string): Promise<string> {
  const root = join(folder, 'root')
  const archive = join(folder, 'archive')
  await Promise.all(
    [...['bin', 'tmp', 'etc'].map(each => join(root, each)), archive].map(each => mkdir(each, {recursive: true})),
  )
  await copyFile(BUSYBOX, join(root, 'bin', 'busybox'))
  const applets = (await run(BUSYBOX, '--list')).split('\n').filter(each => each !== '' && each !== 'busybox')
  await Promise.all(applets.map(each => symlink('busybox', join(root, 'bin', each))))
  await writeFile(join(root, 'etc', 'passwd'), 'root:x:0:0:root:/:/bin/sh\n')

  const layer = join(archive, 'layer.tar')
  await run('tar', '-C', root, '--owner=0', '--group=0', '-cf', layer, '.')
  const config = JSON.stringify({
    architecture: {x64: 'amd64', arm64: 'arm64'}[process.arch as string] ?? process.arch,
    os: 'linux',
    config: {Entrypoint: IDLE, Env: ['PATH=/bin'], WorkingDir: '/'},
    rootfs: {type: 'layers', diff_ids: [`sha256:${sha256(await readFile(layer))}`]},
  })
  await writeFile(join(archive, 'config.json'), config)
  await writeFile(
    join(archive, 'manifest.json'),
    JSON.stringify([{Config: 'config.json', RepoTags: [IMAGE], Layers: ['layer.tar']}]),
  )
  const tar = join(folder, 'image.tar')
  await run('tar', '-C', archive, '-cf', tar, 'config.json', 'layer.tar', 'manifest.json')
  return tar
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
