/** A CNI plugin that writes down how it is called, and is slow or fails when it is told to; else it is upstream's bridge. */
import {chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'

type Verb = 'ADD' | 'CHECK' | 'DEL'

export interface RecordedCall {
  readonly verb: Verb
  /** CNI_*. */
  readonly env: Readonly<Record<string, string>>
  readonly stdin: string
}

/** Its type, in configs. */
export const RECORDER = 'recorder'

const SCRIPT = `#!/bin/sh
here=\${0%/*}
input=$(cat)
if [ "$CNI_COMMAND" = VERSION ]; then
  echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}'
  exit 0
fi
call=$here/calls/$(date +%s%N)-$$
{ env | grep ^CNI_; echo; printf '%s' "$input"; } > "$call.new"
mv "$call.new" "$call"
told=$here/told/$CNI_COMMAND
if [ -e "$told.failures" ]; then
  left=$(cat "$told.failures")
  if [ "$left" -gt 0 ]; then
    echo $((left - 1)) > "$told.failures"
    echo '{"cniVersion":"1.0.0","code":11,"msg":"the recorder was told to fail"}'
    exit 1
  fi
fi
[ -e "$told.before" ] && sleep "$(cat "$told.before")"
output=$(printf '%s' "$input" | /usr/lib/cni/bridge)
status=$?
[ -e "$told.after" ] && sleep "$(cat "$told.after")"
printf '%s' "$output"
exit $status
`

export class Recorder {
  /** For CNI_PATH. */
  readonly folder: string

  constructor(t: ExecutionContext) {
    this.folder = mkdtempSync(join(tmpdir(), 'ng-recorder-'))
    t.teardown(() => rmSync(this.folder, {recursive: true, force: true, maxRetries: 5}))
    for (const name of ['calls', 'told', 'leases']) mkdirSync(join(this.folder, name))
    const program = join(this.folder, RECORDER)
    writeFileSync(program, SCRIPT)
    chmodSync(program, 0o755)
  }

  /** A config of its own bridge; its addresses, .2 being the first, are kept in a folder of its own. */
  conf(name: string, subnet: string, more: object = {}): object {
    const dataDir = join(this.folder, 'leases', name)
    const ipam = {type: 'host-local', dataDir, ranges: [[{subnet}]]}
    return {cniVersion: '1.0.0', type: RECORDER, bridge: `ng-${name}`, ipam, ...more}
  }

  /** Seconds that a verb takes, before it does anything or after it has done everything; 0: none. */
  slow(verb: Verb, seconds: number, when: 'before' | 'after' = 'before'): void {
    const file = join(this.folder, 'told', `${verb}.${when}`)
    if (seconds === 0) rmSync(file, {force: true})
    else writeFileSync(file, String(seconds))
  }

  /** The next `times` calls of the verb. */
  fail(verb: Verb, times: number): void {
    writeFileSync(join(this.folder, 'told', `${verb}.failures`), String(times))
  }

  /** Oldest first. */
  calls(verb?: Verb, ifname?: string): RecordedCall[] {
    const folder = join(this.folder, 'calls')
    const names = readdirSync(folder).filter(name => !name.endsWith('.new'))
    const all = names.sort().map(name => parseCall(readFileSync(join(folder, name), 'utf8')))
    return all.filter(
      each => (verb === undefined || each.verb === verb) && (ifname === undefined || each.env.CNI_IFNAME === ifname),
    )
  }

  /** Addresses that are taken, of all networks. */
  leases(): string[] {
    return leasesIn(join(this.folder, 'leases'))
  }
}

/** Addresses in host-local's folders, one for each network. */
export function leasesIn(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, {recursive: true, encoding: 'utf8'})
    .map(path => path.split('/').at(-1)!)
    .filter(name => /^[\d.]+$|^[0-9a-f:]+:[0-9a-f:]*$/.test(name))
    .sort()
}

function parseCall(text: string): RecordedCall {
  const [head = '', ...rest] = text.split('\n\n')
  const pairs = head.split('\n').map(line => {
    const at = line.indexOf('=')
    return [line.slice(0, at), line.slice(at + 1)] as const
  })
  const env = Object.fromEntries(pairs)
  return {verb: env.CNI_COMMAND as Verb, env, stdin: rest.join('\n\n')}
}
