/** Where something has changed, so that who has looked at everything once need not do so again. */

/** Of a live map, or several. */
export interface ChangeLog<Key> {
  /** The present moment. Of another log it says nothing. */
  readonly mark: number
  /** The keys under which something has changed since a mark, some of them more than once; undefined: too long ago to tell. */
  since(mark: number): readonly Key[] | undefined
}
