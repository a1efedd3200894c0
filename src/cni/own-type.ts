/** The type that the runtime calls us by: a plugin of that type within a config of ours would ask us again. */
import {quoted} from '../model/errors.ts'
import {CniError} from './error.ts'
import type {PlannedList} from './journal.ts'
import {isRecord} from './record.ts'

const OWN_TYPE = 'netgraft'

/** Throws CniError. */
export function mustNotAskUs({plugins}: Pick<PlannedList, 'plugins'>): void {
  if (plugins.some(({type, ipam}) => type === OWN_TYPE || (isRecord(ipam) && ipam.type === OWN_TYPE)))
    throw new CniError('invalidConfig', `type ${quoted(OWN_TYPE)} would ask us again; name the plugin that is meant`)
}
