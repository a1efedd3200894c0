/** The file of figures, of one suite as of all: when and on what machine, then suite by suite. */
import {readdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {Occasion} from './machine.ts'
import type {Measured} from './results.ts'

export const SUITES = ['routes', 'cni', 'attach', 'pairs'] as const
export type SuiteName = (typeof SUITES)[number]

export interface SuiteReport {
  readonly suite: SuiteName
  /** That it took. */
  readonly seconds: number
  /** Of the machine, that others took meanwhile: from 0 to 1. */
  readonly othersShare: number
  /** Why there are no figures. @default it has been measured */
  readonly failed?: string
  readonly figures: readonly Measured[]
}

export interface Report extends Occasion {
  /** Small counts, which show that everything works: not to be compared with anything. @default false */
  readonly quick?: true
  readonly suites: readonly SuiteReport[]
}

/** Where reports are kept: those of whole runs by date, the last one of each suite by its name. */
export const RESULTS = join(import.meta.dirname, 'results')

/** A figure a line, so that two reports can be compared by line. */
export async function writeReport(file: string, report: Report): Promise<void> {
  const {suites, ...occasion} = report
  const parts = suites.map(({figures, ...suite}) => {
    const lines = figures.map(figure => `\n    ${JSON.stringify(figure)}`).join(',')
    return `  ${JSON.stringify(suite).slice(0, -1)},"figures":[${lines}${lines && '\n  '}]}`
  })
  await writeFile(file, `${JSON.stringify(occasion).slice(0, -1)},"suites":[\n${parts.join(',\n')}\n]}\n`)
}

/** Throws where it is none, with the file's name. */
export async function readReport(file: string): Promise<Report> {
  const text = await readFile(file, 'utf8')
  try {
    const report = JSON.parse(text) as Report
    if (!Array.isArray(report.suites)) throw new Error('it has no suites')
    return report
  } catch (error) {
    throw new Error(`${file} is no report of a benchmark: ${(error as Error).message}`)
  }
}

const KEPT = /^\d{4}-\d\d-\d\d(-\d+)?\.json$/

/** Files of the folder that are kept, whatever their order. */
const keptFiles = async (folder: string): Promise<string[]> =>
  (await readdir(folder).catch(() => [])).filter(file => KEPT.test(file))

/** The file for a report of that moment: "2026-11-21.json", or "2026-11-21-2.json" for the day's second. */
export async function fileFor(at: string, folder = RESULTS): Promise<string> {
  const day = at.slice(0, 10)
  const taken = new Set(await keptFiles(folder))
  for (let n = 1; ; n++) {
    const file = n === 1 ? `${day}.json` : `${day}-${n}.json`
    if (!taken.has(file)) return join(folder, file)
  }
}

/** A suite's newest figures that are kept, and the occasion at which they were measured. */
export interface Kept {
  readonly report: Report
  readonly suite: SuiteReport
}

/** Of each suite that has ever been measured, in the order of {@link SUITES}. */
export async function newestKept(folder = RESULTS): Promise<Kept[]> {
  const files = await keptFiles(folder)
  const reports = await Promise.all(files.map(file => readReport(join(folder, file))))
  reports.sort((a, b) => b.at.localeCompare(a.at))
  return SUITES.flatMap(name => {
    for (const report of reports) {
      const suite = report.suites.find(each => each.suite === name && each.failed === undefined)
      if (suite && !report.quick) return [{report, suite}]
    }
    return []
  })
}
