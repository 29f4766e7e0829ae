#!/usr/bin/env node
/** The command `waymark`: what it takes, and its exit codes. */
import { createRequire } from 'node:module'
import { Command } from 'commander'
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

await program.parseAsync()
