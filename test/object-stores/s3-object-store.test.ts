/**
 * Goal: the S3 store keeps the contract, and what S3 does differently stays inside of it.
 * Method: the contract suite and a few calls more against a real server.
 */
import { before, describe } from 'node:test'
import { S3ObjectStore } from '../../src/workers/io/s3/s3-object-store.ts'
import { freshLocation, makeBucket, withoutServer } from '../s3/s3-server.ts'
import { objectStoreContract } from './contract.ts'

describe('the S3 store', { skip: withoutServer }, () => {
  before(makeBucket)

  objectStoreContract('S3', async () => {
    const store = new S3ObjectStore(freshLocation())
    return { store, close: () => store.close() }
  })
})
