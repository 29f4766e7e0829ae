/**
 * What piscina loads into a thread of the I/O pool: a CommonJS module, which hands on the I/O
 * worker. Piscina first tries require(), and a thread that is ended while Node requires an ES
 * module can take the whole process with it (Node 20.20: FATAL ERROR in InstantiateSync,
 * which goes on after the termination). To import() one is safe.
 */
module.exports = import('./io-worker.ts').then(worker => worker.default)
