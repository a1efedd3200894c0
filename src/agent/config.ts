/** Reads the agent's configuration: the file, and what the environment fills in. */
import {readFile} from 'node:fs/promises'
import {getSystemErrorMessage} from 'node:util'
import {isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument} from 'yaml'
import {type Config, parseConfig} from '../model/config.ts'
import {isNodeName} from '../model/config-nodes.ts'
import {ConfigError, describeValue, type Path, type Problem, WHOLE_FILE} from '../model/config-problems.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Bytes. More is no configuration, and would only keep the YAML parser busy. */
const MAX_SIZE = 1024 * 1024

/** Throws {@link ConfigError} with everything that is wrong with the file, or else with the environment. */
export async function loadConfig(path: string, env: Environment): Promise<Config> {
  const config = await readConfig(path)
  return naming(path, () => withEnvironment(config, env))
}

/** The file alone, as it is, without what the environment fills in. Throws {@link ConfigError}. */
export async function readConfig(path: string): Promise<Config> {
  const text = await readText(path)
  return naming(path, () => parseConfigText(text))
}

function naming<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError(error.problems, path, {cause: error.cause}) : error
  }
}

/** Checks a whole YAML text. Throws {@link ConfigError}. */
export function parseConfigText(text: string): Config {
  const lines = new LineCounter()
  const at = (offset: number | undefined): {at?: NonNullable<Problem['at']>} => {
    if (offset === undefined) return {}
    const {line, col} = lines.linePos(offset)
    return line > 0 ? {at: {line, column: col}} : {}
  }
  const document = guard(() =>
    parseDocument(text, {lineCounter: lines, prettyErrors: false, logLevel: 'error', uniqueKeys: true}),
  )
  const faults = new Map<string, Problem>()
  for (const fault of [...document.errors, ...document.warnings]) {
    const problem = {path: WHOLE_FILE, message: yamlMessage(fault), ...at(fault.pos[0])}
    const once = `${problem.at?.line} ${problem.message}`
    if (!faults.has(once)) faults.set(once, problem)
  }
  if (faults.size > 0) throw new ConfigError([...faults.values()])
  return parseConfig(
    guard(() => document.toJS()),
    path => at(offsetOf(document.contents, path)).at,
  )
}

/**
 * Fills in what the file leaves to the environment: NODE_NAME; in a pod (KUBERNETES_SERVICE_HOST) its service account,
 * elsewhere KUBECONFIG. Throws {@link ConfigError}.
 */
export function withEnvironment(config: Config, env: Environment): Config {
  const problems: Problem[] = []
  const node = config.node ?? (env.NODE_NAME || undefined)
  if (node !== undefined && !isNodeName(node))
    problems.push({
      path: 'node',
      message: `${describeValue(node)}, which NODE_NAME of the environment says, cannot be a node's name; set it from spec.nodeName`,
    })
  let kubeconfig = config.kubernetes.kubeconfig
  if (kubeconfig === undefined && !env.KUBERNETES_SERVICE_HOST) {
    kubeconfig = env.KUBECONFIG || undefined
    const message =
      kubeconfig === undefined
        ? 'is empty, and neither KUBERNETES_SERVICE_HOST nor KUBECONFIG is in the environment; name a kubeconfig file'
        : `${describeValue(kubeconfig)}, which KUBECONFIG of the environment says, names several files; name one`
    if (kubeconfig === undefined || kubeconfig.includes(':')) problems.push({path: 'kubernetes.kubeconfig', message})
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return {...config, node: node as Config['node'], kubernetes: {kubeconfig}}
}

async function readText(path: string): Promise<string> {
  const refuse = (message: string, cause?: unknown) =>
    new ConfigError([{path: WHOLE_FILE, message}], path, cause === undefined ? undefined : {cause})
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (cause) {
    const {errno, code} = cause as NodeJS.ErrnoException
    const why = errno === undefined ? String(code ?? cause) : getSystemErrorMessage(errno)
    throw refuse(`cannot be read (${why}); check the path and its permissions`, cause)
  }
  if (bytes.length > MAX_SIZE) throw refuse(`is larger than ${MAX_SIZE} bytes; is it the right file?`)
  try {
    return new TextDecoder('utf-8', {fatal: true}).decode(bytes)
  } catch (cause) {
    throw refuse('is not UTF-8 text; is it the right file?', cause)
  }
}

/** The parser's own limits (aliases that multiply, for one) arrive as all sorts of exceptions. */
function guard<T>(run: () => T): T {
  try {
    return run()
  } catch (cause) {
    throw new ConfigError([{path: WHOLE_FILE, message: TOO_DEEP}], undefined, {cause})
  }
}

const TOO_DEEP = 'nests too deeply or multiplies itself through aliases; write it out plainly'

function yamlMessage({code, message}: {code: string; message: string}): string {
  if (code === 'IMPOSSIBLE') return TOO_DEEP
  if (code === 'DUPLICATE_KEY') return 'this key is there twice; keep one of the two'
  if (code === 'TAB_AS_INDENT') return 'a tab indents this line; use spaces'
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here; keep one'
  return `this is not valid YAML: ${message}`
}

/** Where a path's last key stands; where that cannot be told, the nearest one around it. */
function offsetOf(root: unknown, path: Path): number | undefined {
  let node = root
  let offset = (root as Node | null)?.range?.[0]
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(({key}) => isScalar(key) && String(key.value) === part)
      if (!pair) break
      offset = (pair.key as Node).range?.[0] ?? offset
      node = pair.value
    } else if (isSeq(node)) {
      node = node.items[part as number]
      offset = (node as Node | undefined)?.range?.[0] ?? offset
    }
    if (isAlias(node)) break
  }
  return offset
}
