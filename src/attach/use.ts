/** Who may use which network definitions. Pure. */
import type {DefinitionRef} from '../model/attachment.ts'
import type {Config} from '../model/config.ts'
import {quoted} from '../model/errors.ts'

export type UseRules = Pick<Config['attachments'], 'isolation' | 'grants' | 'namespaces'>

/** Why a pod of that namespace may not use it: a sentence part. Undefined: it may. */
export function useRefusal(
  {isolation, grants, namespaces}: UseRules,
  podNamespace: string,
  {namespace, name}: Pick<DefinitionRef, 'namespace' | 'name'>,
): string | undefined {
  const title = quoted(`${namespace}/${name}`)
  if (namespaces.length > 0 && !namespaces.includes(namespace))
    return `${title} is in a namespace whose definitions this node does not watch; add it to attachments.namespaces`
  if (!isolation || namespace === podNamespace) return undefined
  const granted = grants.some(
    ({from, names, to}) =>
      from === namespace &&
      (names.length === 0 || names.includes(name)) &&
      (to.length === 0 || to.includes(podNamespace)),
  )
  return granted
    ? undefined
    : `pods of namespace ${quoted(podNamespace)} may not use ${title}; use a definition of their own namespace, or add it to attachments.grants`
}
