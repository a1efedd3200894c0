/**
 * Says what "npm audit --json" (on the standard input) knows of packages that are shipped: those whose code is in the
 * bundle. Fails on advisories of severity high and critical, and not where the registry keeps none: that is said.
 */
import {readFileSync} from 'node:fs'
import {packagesOf, readBundled} from './sbom/npm.ts'

/** As far as we use it. https://docs.npmjs.com/cli/commands/npm-audit */
interface Report {
  readonly vulnerabilities?: Readonly<Record<string, Vulnerability>>
  /** What went wrong instead: "405 Method Not Allowed - POST …". */
  readonly message?: string
  readonly error?: {readonly summary?: string}
}

interface Vulnerability {
  readonly name: string
  readonly severity: 'info' | 'low' | 'moderate' | 'high' | 'critical'
  /** Advisories, or names of packages that bring them. */
  readonly via: readonly (string | {readonly title: string; readonly url: string})[]
  /** Folders that it is installed in. */
  readonly nodes: readonly string[]
}

const text = readFileSync(0, 'utf8')
const report = parse(text)
if (!report?.vulnerabilities) {
  const why = report?.message || report?.error?.summary || text.trim().slice(0, 200) || 'npm said nothing'
  console.log(`advisories: NOT CHECKED: the registry does not answer "npm audit" (${why}); ask one that does`)
} else {
  const shipped = new Set(packagesOf(readBundled()).map(({key}) => key))
  const all = Object.values(report.vulnerabilities)
  const ours = all.filter(({nodes}) => nodes.some(node => shipped.has(node)))
  const grave = ours.filter(({severity}) => severity === 'high' || severity === 'critical')
  for (const {name, severity, via} of ours) {
    const words = via.map(each => (typeof each === 'string' ? `by ${each}` : `${each.title} (${each.url})`))
    console.error(`advisories: ${severity}: ${name}: ${words.join('; ')}`)
  }
  const rest = all.length - ours.length
  console.log(
    `advisories: ${ours.length} for ${shipped.size} packages that are shipped, ${grave.length} of them high or critical` +
      (rest > 0 ? `; ${rest} for packages that are not` : ''),
  )
  process.exitCode = grave.length > 0 ? 1 : 0
}

function parse(json: string): Report | undefined {
  try {
    return JSON.parse(json) as Report
  } catch {
    return undefined
  }
}
