/** Certificates for an etcd of a test and for who asks it, by openssl. */
import {readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import {type EtcdTls, folder} from '../../store/support.ts'
import {run} from './node.ts'

export interface Pki {
  /** Files. */
  readonly server: EtcdTls
  /** As `store.tls` of the agents' configuration. */
  readonly agent: EtcdTls
  /** The agents', for a client of the test's. */
  readonly credentials: {readonly rootCertificate: Buffer; readonly certChain: Buffer; readonly privateKey: Buffer}
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

export async function makePki(t: ExecutionContext): Promise<Pki> {
  const path = await folder(t)
  const file = (name: string) => join(path, name)
  const openssl = (...args: string[]) => run('openssl', args, {cwd: path})
  await openssl('req', '-x509', ...KEY, '-days', '2', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=ca')
  await writeFile(file('names'), 'subjectAltName=IP:127.0.0.1\n')
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names']
  const certificate = async (name: string): Promise<EtcdTls> => {
    await openssl('req', '-new', ...KEY, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`)
    await openssl('x509', '-req', '-in', `${name}.csr`, ...signing, '-out', `${name}.pem`)
    return {ca: file('ca.pem'), cert: file(`${name}.pem`), key: file(`${name}.key`)}
  }
  const server = await certificate('etcd')
  const agent = await certificate('agent')
  const credentials = {
    rootCertificate: await readFile(agent.ca),
    certChain: await readFile(agent.cert),
    privateKey: await readFile(agent.key),
  }
  return {server, agent, credentials}
}
