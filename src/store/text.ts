/** Documents, and signs of life, in stores that keep texts under keys: memory, etcd. */
import {quoted} from '../model/errors.ts'
import type {Document, Entry, Kind, Owner, Revision} from '../model/store.ts'
import {decode, isKey, isName} from './document.ts'
import type {ObjectReader} from './entries.ts'

/** In the form that the reflector knows. */
export interface TextObject {
  readonly metadata: {readonly name: string; readonly resourceVersion: string}
  readonly text: string
}

export const textObject = (name: string, revision: string, text: string): TextObject => ({
  metadata: {name, resourceVersion: revision},
  text,
})

/** Throws whatever says best why it is no such document. */
export const entryOf = <D extends Document>(kind: Kind<D>, {metadata, text}: TextObject): Entry<D> => ({
  key: metadata.name,
  value: decode(kind, text),
  revision: metadata.resourceVersion as Revision,
})

const keyText = (object: unknown): string => (object as TextObject).metadata.name

export const textReader = <D extends Document>(kind: Kind<D>): ObjectReader<Entry<D>> => ({
  keyText,
  key: object => known(keyText(object), key => isKey(kind, key)),
  project: object => entryOf(kind, object as TextObject),
  equal: (a, b) => a.revision === b.revision,
})

/** Characters of what tells one process from another. */
const INSTANCE_MAX = 64

/** Of signs of life, whose text is the instance. */
export const ownerReader: ObjectReader<Owner> = {
  keyText,
  key: object => known(keyText(object), isName),
  project: object => {
    const {text} = object as TextObject
    if (text === '' || text.length > INSTANCE_MAX) throw new TypeError('it is no sign of life')
    return {instance: text}
  },
  equal: (a, b) => a.instance === b.instance,
}

function known(key: string, accepts: (key: string) => boolean): string {
  if (!accepts(key)) throw new TypeError(`${quoted(key)} cannot be a key here`)
  return key
}
