// BullMQ: Queue.add, a worker in this process that does nothing, and QueueEvents telling the submitter that it ended.
// Needs BENCH_REDIS_PORT. Durable only when Redis runs with appendfsync always, which is how the bench starts it.
import { measure, setting, version } from "./measure.mjs";
import { Queue, QueueEvents, Worker } from "bullmq";

const connection = { host: "127.0.0.1", port: setting("BENCH_REDIS_PORT", 6379), maxRetriesPerRequest: null };
const queue = new Queue(`bench-${process.pid}`, { connection });
const events = new QueueEvents(queue.name, { connection });
const worker = new Worker(queue.name, async (job) => job.data.i, { connection, concurrency: setting("BENCH_CONC", 64) });
await Promise.all([events.waitUntilReady(), worker.waitUntilReady()]);

const waiting = new Map();
const early = new Set(); // ended before the submitter came to wait
events.on("completed", ({ jobId }) => {
  const done = waiting.get(jobId);
  if (done) { waiting.delete(jobId); done(); } else early.add(jobId);
});

await measure({ peer: "bullmq", version: version("bullmq"), durability: "redis AOF, fsync always" }, async (i) => {
  const job = await queue.add("noop", { i }, { removeOnComplete: true });
  if (early.delete(job.id)) return;
  await new Promise((done) => waiting.set(job.id, done));
});
process.exit(0);
