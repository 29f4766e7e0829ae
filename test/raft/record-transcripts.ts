/**
 * npm run transcripts:record -- [folder or file]: rewrites the answers of the project's own scripts
 * to what the core says now, and names the files that have changed. Read the difference before it is
 * committed: an answer is right by the rule that the script names, not because it was recorded.
 */
import { recordScripts } from './record-scripts.ts'
import { ownTranscripts } from './run-script.ts'

const changed = recordScripts(process.argv[2] ?? ownTranscripts, ownTranscripts)
for (const file of changed) console.log(file)
console.log(`${changed.length} changed`)
