// SPDX-License-Identifier: Apache-2.0
// BullMQ: `work` runs one worker process, `drive` submits.
//
// From its guide: addBulk for many jobs, several worker processes, and a concurrency of 50 in each, so that a worker's
// requests to Redis overlap. Finished jobs are kept, which is the default.
import { readFileSync } from 'node:fs';
import { Queue, QueueEvents, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const socket = process.env.PEER_REDIS_SOCKET;
const connect = () => new Redis({ path: socket, maxRetriesPerRequest: null });
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const name = 'bench';
const chunk = 1000;

async function work() {
  const worker = new Worker(name, async (job) => job.data.payload, {
    connection: connect(),
    concurrency: 50,
  });
  process.on('SIGTERM', async () => {
    await worker.close();
    process.exit(0);
  });
}

async function drive() {
  const jobs = Number(process.env.PEER_JOBS);
  const data = { payload: 'x'.repeat(200) };
  const queue = new Queue(name, { connection: connect() });
  const events = new QueueEvents(name, { connection: connect() });
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  while ((await queue.getWorkersCount()) < 2) await sleep(20);

  const roundTrip = async () => {
    const sent = performance.now();
    const job = await queue.add('noop', data);
    await job.waitUntilFinished(events, 30000);
    return performance.now() - sent;
  };
  for (let i = 0; i < 100; ++i) await roundTrip();

  const before = await queue.getCompletedCount();
  const begin = performance.now();
  for (let first = 0; first < jobs; first += chunk) {
    const size = Math.min(chunk, jobs - first);
    await queue.addBulk(Array.from({ length: size }, () => ({ name: 'noop', data })));
  }
  const submitted = performance.now();
  while ((await queue.getCompletedCount()) < before + jobs) await sleep(10);
  const end = performance.now();

  const trips = [];
  for (let i = 0; i < Number(process.env.PEER_ROUND_TRIPS); ++i) trips.push(await roundTrip());
  trips.sort((a, b) => a - b);
  const quantile = (q) => Number(trips[Math.ceil(q * trips.length) - 1].toFixed(3));
  const about = await connect().info('server');
  console.log(
    JSON.stringify({
      version: JSON.parse(readFileSync('node_modules/bullmq/package.json', 'utf8')).version,
      jobs,
      seconds: Number(((end - begin) / 1000).toFixed(4)),
      submit_per_s: Number(((jobs * 1000) / (submitted - begin)).toFixed(1)),
      p50_ms: quantile(0.5),
      p99_ms: quantile(0.99),
      redis: /redis_version:(\S+)/.exec(about)[1],
      node: process.version,
    }),
  );
  process.exit(0);
}

await { work, drive }[process.argv[2]]();
