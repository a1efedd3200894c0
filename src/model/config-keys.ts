/** What the schema of the configuration is made of. */
import * as v from 'valibot'
import {describeValue, nearest} from './config-problems.ts'
import type {Facts} from './config-reference.ts'

/** A key: absent, or with nothing behind it, it has its default. */
export const key = <const S extends v.GenericSchema, const D extends v.InferInput<S>>(
  value: S,
  fallback: D,
  meaning: string,
  facts: Facts = {},
) => v.nullish(v.pipe(value, v.description(meaning), v.metadata({...facts})), fallback)

export const section = <const E extends v.ObjectEntries>(entries: E) =>
  v.nullish(v.object(entries), {} as v.InferInput<v.ObjectSchema<E, undefined>>)

export const choice = <const O extends readonly string[]>(options: O) =>
  v.picklist(options, issue => {
    const near = typeof issue.input === 'string' ? nearest(issue.input, options) : undefined
    const hint = near === undefined ? '' : `; did you mean ${near}?`
    return `${describeValue(issue.input)} is not one of ${options.join(', ')}${hint}`
  })

/** One check instead of several: one mistake is one problem. `refuse` is asked first. */
export const wholeNumber = (from: number, to: number, refuse?: (n: number) => string | undefined) =>
  v.pipe(
    v.number(),
    v.check(
      n => Number.isInteger(n) && n >= from && n <= to && refuse?.(n) === undefined,
      ({input}) => refuse?.(input) ?? `must be a whole number from ${from} to ${to}, not ${describeValue(input)}`,
    ),
    v.metadata({from, to}),
  )

/** Empty: undefined. `parse`: a text says what is wrong, behind the value where `quotes` is given. */
export const optionalParsed = <const T extends object>(parse: (text: string) => T | string, quotes?: 'quoted') =>
  v.pipe(
    v.string(),
    v.rawTransform(({dataset, addIssue, NEVER}): T | undefined => {
      if (dataset.value === '') return undefined
      const parsed = parse(dataset.value)
      if (typeof parsed !== 'string') return parsed
      addIssue({message: quotes ? `${describeValue(dataset.value)} ${parsed}` : parsed})
      return NEVER
    }),
  )

const isAbsolute = (text: string): boolean => text.startsWith('/') && !text.includes('\0')
const notAbsolute = ({input}: {readonly input: unknown}): string =>
  `${describeValue(input)} is not an absolute path; begin it with /`

export const absolutePath = v.pipe(v.string(), v.check(isAbsolute, notAbsolute))

/** Empty: undefined. */
export const optionalPath = v.pipe(
  v.string(),
  v.check(text => text === '' || isAbsolute(text), notAbsolute),
  v.transform(text => (text === '' ? undefined : text)),
)
