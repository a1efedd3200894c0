/** Programs, with their own words when they fail. */
import {execFile} from 'node:child_process'
import {promisify} from 'node:util'

const exec = promisify(execFile)

/** Its output. */
export async function run(program: string, ...args: string[]): Promise<string> {
  try {
    return (await exec(program, args, {maxBuffer: 64 << 20})).stdout
  } catch (error) {
    const {stderr} = error as {stderr?: string}
    throw new Error(`${program} ${args.join(' ')}: ${stderr?.trim() || error}`, {cause: error})
  }
}
