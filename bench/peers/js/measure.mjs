// What every Node peer shares: the two phases (64 clients, one client), CPU of all processes that take part, and the
// JSON line that `cargo xtask bench` reads. Settings come from the environment:
//   BENCH_N      runs in the phase with many clients     BENCH_LAT_N  runs in the phase with one client
//   BENCH_CONC   how many clients, 64 unless told         BENCH_PIDS   servers whose CPU counts, comma separated
import fs from "node:fs";
import { createRequire } from "node:module";

// SDKs of 2026 call Promise.withResolvers, which Node 20 lacks.
Promise.withResolvers ??= () => {
  let resolve, reject;
  const promise = new Promise((yes, no) => { resolve = yes; reject = no; });
  return { promise, resolve, reject };
};

export const setting = (name, fallback) => Number(process.env[name] ?? fallback);
export const version = (name) => createRequire(import.meta.url)(`${name}/package.json`).version;

// CPU milliseconds so far: this process, and the servers with their children (Linux, 100 ticks a second).
function cpu() {
  const servers = new Set((process.env.BENCH_PIDS ?? "").split(",").filter(Boolean));
  const own = process.cpuUsage();
  let total = (own.user + own.system) / 1000;
  for (const pid of fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    let fields;
    try {
      fields = fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(")").pop().trim().split(" ");
    } catch {
      continue; // ended while we were looking
    }
    const [parent, user, system, kidsUser, kidsSystem] = [fields[1], ...fields.slice(11, 15).map(Number)];
    if (servers.has(pid)) total += (user + system + kidsUser + kidsSystem) * 10;
    else if (servers.has(parent)) total += (user + system) * 10;
  }
  return total;
}

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];

async function phase(run, { total, clients }) {
  const latencies = [];
  let next = 0;
  const cpuBefore = cpu();
  const began = performance.now();
  await Promise.all(Array.from({ length: clients }, async () => {
    while (next < total) {
      const at = performance.now();
      await run(next++);
      latencies.push(performance.now() - at);
    }
  }));
  const wall = performance.now() - began;
  const spent = cpu() - cpuBefore;
  latencies.sort((a, b) => a - b);
  return {
    conc: clients, n: total, per_s: total / wall * 1000, cpu_ms_per_op: spent / total,
    p50_ms: quantile(latencies, 0.5), p99_ms: quantile(latencies, 0.99),
  };
}

// Warms up, then prints one line with many clients and one with a single client.
export async function measure(about, run) {
  const clients = setting("BENCH_CONC", 64);
  for (let i = 0; i < 20; i++) await run(i);
  for (const shape of [{ total: setting("BENCH_N", 2000), clients }, { total: setting("BENCH_LAT_N", 200), clients: 1 }]) {
    console.log(JSON.stringify({ ...about, ...await phase(run, shape) }));
  }
}
