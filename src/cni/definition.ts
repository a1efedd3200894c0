/** A network definition and what a pod asks of it, as a list of plugins that can be run. */
import type {Definition, Selection} from '../model/attachment.ts'
import {quoted} from '../model/errors.ts'
import {readConfig} from './config.ts'
import {CniError} from './error.ts'
import type {PlannedList} from './journal.ts'
import {parseJson} from './json-text.ts'
import {mustNotAskUs} from './own-type.ts'
import {isRecord} from './record.ts'
import type {PodRef} from './request.ts'

/** The config, parsed and written again: the same for the same content. Throws CniError. */
export function canonicalConfig(definition: Definition): string {
  const parsed = parseJson(definition.config, titleOf(definition))
  if (isRecord(parsed)) return JSON.stringify(parsed)
  throw new CniError(
    'invalidConfig',
    `${titleOf(definition)} has a config that is no JSON object; write a CNI conf or conflist`,
  )
}

export interface Asked {
  readonly selection: Selection
  /** {@link canonicalConfig}. */
  readonly config: string
  readonly device?: string | undefined
  /** Of a conf that says none. */
  readonly cniVersion: string
}

/** Throws CniError. */
export function listOf(definition: Definition, {selection, config, device, cniVersion}: Asked): PlannedList {
  const written = JSON.parse(config) as Record<string, unknown>
  try {
    const saysNone = (written.cniVersion ?? '') === '' && !('plugins' in written && written.cniVersions)
    const list = readConfig(saysNone ? {...written, cniVersion} : written, {name: definition.name})
    mustNotAskUs(list)
    const [first, ...rest] = list.plugins
    const plugins = [device === undefined ? first! : {...first!, deviceID: device, pciBusID: device}, ...rest].map(
      plugin => withArgs(plugin, selection.cniArgs),
    )
    const runtimeConfig = {...list.runtimeConfig, ...runtimeConfigOf(selection, device)}
    return {...list, plugins, ...(Object.keys(runtimeConfig).length > 0 && {runtimeConfig})}
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    throw new CniError(error.code, `${titleOf(definition)}: ${error.message}`, {cause: error})
  }
}

/** `cni-args` become `args.cni`; what the definition's author has written there stays where it says the same. */
function withArgs<P extends {readonly args?: unknown}>(plugin: P, cniArgs: Selection['cniArgs']): P {
  if (!cniArgs) return plugin
  const args = isRecord(plugin.args) ? plugin.args : {}
  const own = isRecord(args.cni) ? args.cni : {}
  return {...plugin, args: {...args, cni: {...cniArgs, ...own}}}
}

/** Each plugin gets of it what it declares to be capable of. */
function runtimeConfigOf(selection: Selection, device: string | undefined): Record<string, unknown> {
  const {mac, ips, infinibandGuid, portMappings, bandwidth} = selection
  return {
    ...(mac !== undefined && {mac}),
    ...(ips !== undefined && {ips}),
    ...(infinibandGuid !== undefined && {infinibandGUID: infinibandGuid}),
    ...(portMappings !== undefined && {portMappings}),
    ...(bandwidth !== undefined && {bandwidth}),
    ...(device !== undefined && {deviceID: device}),
  }
}

/** CNI_ARGS, as delegates of kactus and Multus get them. */
export function argsOf(pod: PodRef, containerId: string, {mac, ips}: Pick<Selection, 'mac' | 'ips'>): string {
  return [
    'IgnoreUnknown=1',
    `K8S_POD_NAMESPACE=${pod.namespace}`,
    `K8S_POD_NAME=${pod.name}`,
    `K8S_POD_INFRA_CONTAINER_ID=${containerId}`,
    ...(pod.uid === undefined ? [] : [`K8S_POD_UID=${pod.uid}`]),
    ...(mac === undefined ? [] : [`CNI_IFMAC=${mac}`, `MAC=${mac}`]),
    ...(ips === undefined || ips.length === 0 ? [] : [`IP=${ips.join(',')}`]),
  ].join(';')
}

/** For sentences: 'NetworkAttachmentDefinition "a/green"'. */
export const titleOf = ({kind, namespace, name}: Pick<Definition, 'kind' | 'namespace' | 'name'>): string =>
  `${kind} ${quoted(`${namespace}/${name}`)}`
