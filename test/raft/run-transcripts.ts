/**
 * npm run test:transcripts: runs every script at or below the folder named by TRANSCRIPTS, or below
 * the reference's own when it is not set.
 */
import { describeFailure, runScript, scriptsIn } from './run-script.ts'

const folder = process.env.TRANSCRIPTS ?? '../shared/raft-conformance'
let failed = 0
const files = scriptsIn(folder)
for (const file of files) {
  const failure = runScript(file)
  if (failure === undefined) continue
  failed++
  console.log(describeFailure(file, failure))
}
console.log(`${files.length - failed} passed, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0
