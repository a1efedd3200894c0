import {execFile} from 'node:child_process'
import {mkdtemp, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import test, {type ExecutionContext} from 'ava'
import {makeFolder} from '../../src/model/make-folder.ts'

async function temporary(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ng-folder-'))
  t.teardown(() => rm(folder, {recursive: true, force: true}))
  return folder
}

test('it makes what is missing, and leaves what is there', async t => {
  const folder = join(await temporary(t), 'a', 'b')
  await makeFolder(folder, 0o700)
  await makeFolder(folder, 0o755)
  t.is((await stat(folder)).mode & 0o777, 0o700)
})

test('what stands in the way is said', async t => {
  const folder = await temporary(t)
  await writeFile(join(folder, 'file'), '')
  t.like(await t.throwsAsync(makeFolder(join(folder, 'file', 'a', 'b'), 0o700)), {code: 'ENOTDIR'})
})

test('a read-only file system is said to be one', async t => {
  const folder = await temporary(t)
  const code = `import {makeFolder} from ${JSON.stringify(new URL('../../src/model/make-folder.ts', import.meta.url))}
    for (const path of ['a', 'a/b/c']) await makeFolder(${JSON.stringify(`${folder}/`)} + path, 0o700).catch(error => console.log(error.code))`
  const mount = 'mount -t tmpfs -o ro none "$0" && exec "$@"'
  const node = [process.execPath, '--no-warnings', '--input-type=module', '-e', code]
  const args = ['--mount', '--propagation', 'private', 'sh', '-c', mount, folder, ...node]
  const {stdout} = await promisify(execFile)('unshare', args)
  t.is(stdout.trim(), 'EROFS\nEROFS')
})
