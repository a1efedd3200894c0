/** Annotations of a Node object. */
import type {NodeName} from '../model/facts.ts'
import {type KubeClient, pathOf} from './client.ts'

/** Like `kubectl annotate node NAME KEY=VALUE --overwrite`; null removes one. Rejects with an ApiError. */
export async function annotateNode(
  client: KubeClient,
  name: NodeName,
  annotations: Readonly<Record<string, string | null>>,
  signal: AbortSignal,
): Promise<void> {
  await client.request('PATCH', pathOf({group: '', version: 'v1', resource: 'nodes'}, name), {
    contentType: 'application/merge-patch+json',
    body: {metadata: {annotations}},
    signal,
  })
}
