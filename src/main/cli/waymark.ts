#!/usr/bin/env node
/** The command `waymark`: what it takes, and its exit codes. */
import { createRequire } from 'node:module'
import { Command } from 'commander'
import { type RestoreArguments, restore } from './restore.ts'
import { EXIT_CODE, serve } from './serve.ts'

const { version } = createRequire(import.meta.url)('waymark/package.json') as { version: string }

const program = new Command('waymark')
  .description('the metadata tier of an object-storage Kafka broker')
  .version(version)
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT_CODE.wrongUse))

program
  .command('serve')
  .description('runs a member of a cluster that has no callers of its own')
  .requiredOption('--config <file>', 'JSON: see docs/operations.md')
  .action(async ({ config }: { config: string }) => {
    process.exit(await serve(config))
  })

program
  .command('restore')
  .description('makes a new cluster from what another one has in the bucket, and ends')
  .requiredOption('--config <file>', 'of the new cluster, as for serve')
  .requiredOption('--from <clusterId>', 'the cluster to restore')
  .option('--checkpoint <name>', 'that state of it; default: the newest')
  .option('--timestamp <time>', 'its newest state by then: ms since the epoch or ISO 8601')
  .option('--partial', 'goes on without what is damaged or missing')
  .action(async (given: RestoreArguments) => {
    process.exit(await restore(given))
  })

await program.parseAsync()
