/**
 * The config file of `waymark serve` (docs/operations.md): the MetastoreOptions as JSON, with paths
 * of PEM files and of a file for the secret, and where health is told.
 */
import { readFileSync } from 'node:fs'
import { invalidRequest } from '../../codec/errors.ts'
import type { ClusterOptions } from '../cluster/cluster-options.ts'
import { checkOptions, type MetastoreOptions } from '../options.ts'

export interface ServeConfig {
  readonly options: MetastoreOptions
  readonly health: { readonly host: string; readonly port: number } | undefined
}

type Fields = Record<string, unknown>

/** @throws INVALID_REQUEST naming the field and its value, or the file that cannot be read */
export function readServeConfig(path: string): ServeConfig {
  const { health, cluster, ...rest } = fields(parse(path), 'the config')
  for (const name of ['logger', 'from']) {
    if (name in rest) throw unknownField(name, rest[name])
  }
  if (rest.ioThreads !== undefined) fields(rest.ioThreads, 'ioThreads', ['min', 'max'])
  const options = {
    ...rest,
    ...(cluster !== undefined && { cluster: clusterOptions(cluster) }),
  } as unknown as MetastoreOptions
  checkOptions(options)
  return { options, health: health === undefined ? undefined : healthAddress(health) }
}

function parse(path: string): unknown {
  const text = readText(path, '--config')
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalidRequest(`--config is ${JSON.stringify(path)}, which is not JSON: ${error}`)
  }
}

function clusterOptions(value: unknown): ClusterOptions {
  const { tls, secret, secretFile, ...rest } = fields(value, 'cluster')
  const { listen, members } = rest
  if (listen !== undefined) fields(listen, 'cluster.listen', ['host', 'port'])
  if (Array.isArray(members)) {
    for (const [i, member] of members.entries()) {
      fields(member, `cluster.members[${i}]`, ['nodeId', 'host', 'port'])
    }
  }
  if (secret !== undefined && secretFile !== undefined) {
    throw invalidRequest('cluster.secret and cluster.secretFile are both given; one is enough')
  }
  const known =
    secretFile === undefined ? secret : readText(secretFile, 'cluster.secretFile').trimEnd()
  return {
    ...rest,
    ...(known !== undefined && { secret: known }),
    ...(tls !== undefined && { tls: readTls(tls) }),
  } as unknown as ClusterOptions
}

function readTls(value: unknown): { key: string; cert: string; ca: string } {
  const files = fields(value, 'cluster.tls', ['keyFile', 'certFile', 'caFile'])
  return {
    key: readText(files.keyFile, 'cluster.tls.keyFile'),
    cert: readText(files.certFile, 'cluster.tls.certFile'),
    ca: readText(files.caFile, 'cluster.tls.caFile'),
  }
}

function healthAddress(value: unknown): { host: string; port: number } {
  const { host, port } = fields(value, 'health', ['host', 'port'])
  if (typeof host !== 'string' || host === '') {
    throw invalidRequest(`health.host must be a name or address, not ${JSON.stringify(host)}`)
  }
  if (!Number.isInteger(port) || (port as number) < 0 || (port as number) > 65_535) {
    throw invalidRequest(
      `health.port must be an integer from 0 to 65535, not ${JSON.stringify(port)}`,
    )
  }
  return { host, port: port as number }
}

/** @param known all that it may have; absent: others look at that */
function fields(value: unknown, name: string, known?: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidRequest(`${name} must be an object, not ${JSON.stringify(value)}`)
  }
  for (const [field, is] of Object.entries(value)) {
    if (known !== undefined && !known.includes(field)) throw unknownField(`${name}.${field}`, is)
  }
  return value as Fields
}

function unknownField(name: string, value: unknown): Error {
  return invalidRequest(`${name} is not known to this version; it is ${JSON.stringify(value)}`)
}

function readText(path: unknown, name: string): string {
  if (typeof path !== 'string' || path === '') {
    throw invalidRequest(`${name} must be a path, not ${JSON.stringify(path)}`)
  }
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw invalidRequest(`${name} is ${JSON.stringify(path)}, which cannot be read: ${error}`)
  }
}
