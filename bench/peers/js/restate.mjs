// Restate: one HTTP call through the ingress to a handler with a single durable step. The answer is the result.
// Needs BENCH_RESTATE_INGRESS and BENCH_RESTATE_ADMIN (base URLs) and BENCH_SERVICE_PORT (a free port for the handler).
import { measure, version } from "./measure.mjs";
import http from "node:http";

const restate = await import("@restatedev/restate-sdk"); // after measure.mjs, which fills in what Node 20 lacks
const { BENCH_RESTATE_INGRESS: ingress, BENCH_RESTATE_ADMIN: admin, BENCH_SERVICE_PORT: port } = process.env;

const noop = restate.service({
  name: "Noop",
  handlers: { step: async (ctx, i) => ctx.run("echo", async () => i) },
});
await restate.serve({ services: [noop], port: Number(port), logger: () => {} });
const registered = await fetch(`${admin}/deployments`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ uri: `http://127.0.0.1:${port}`, force: true }),
});
if (!registered.ok) throw new Error(`register the handler: ${registered.status} ${await registered.text()}`);

const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
const call = (i) => new Promise((done, failed) => {
  const options = { method: "POST", agent, headers: { "content-type": "application/json" } };
  const request = http.request(`${ingress}/Noop/step`, options, (response) => {
    response.resume();
    response.on("end", () => response.statusCode < 300 ? done() : failed(new Error(`HTTP ${response.statusCode}`)));
  });
  request.on("error", failed);
  request.end(JSON.stringify(i));
});

const about = { peer: "restate", version: version("@restatedev/restate-server"), durability: "RocksDB WAL, fsync (its default)" };
await measure(about, call);
process.exit(0);
