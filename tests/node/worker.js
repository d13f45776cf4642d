// A BullMQ worker in a process of its own. What it is told comes in the environment: DJR_TEST_PORT, DJR_TEST_LEDGER, and
// DJR_TEST_WORKER, a JSON object {queue, options}; DJR_TEST_DB may be.

import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { Worker } from 'bullmq';

import { Ledger } from './harness/program.js';

const ledger = new Ledger(process.env.DJR_TEST_LEDGER);
const { queue, options } = JSON.parse(process.env.DJR_TEST_WORKER);

const jobs = {
  add: ({ x, y }) => x + y,
  note: ({ entry }) => ledger.note(entry),
  failAtFirst({ entry, failures }) {
    ledger.note(entry);
    if (ledger.count(entry) <= failures) throw new Error(`failed: ${entry}`);
    return ledger.count(entry);
  },
  async waitForFile({ path, entry }, job) {
    ledger.note(`${entry}:started`);
    await job.updateProgress({ at: 'the gate' });
    while (!existsSync(path)) await sleep(10);
    ledger.note(entry);
    return 'found';
  },
  async total(_, job) {
    const values = Object.values(await job.getChildrenValues());
    return values.reduce((sum, value) => sum + value, 0);
  },
  async tell(_, job) {
    await job.log('first line');
    await job.log('second line');
  },
};

const worker = new Worker(queue, (job) => jobs[job.name](job.data, job), {
  connection: { host: '127.0.0.1', port: Number(process.env.DJR_TEST_PORT), db: Number(process.env.DJR_TEST_DB ?? 0), maxRetriesPerRequest: null },
  ...options,
});
// A lost connection is told as an error; the worker connects again by itself.
worker.on('error', (error) => console.log(`error: ${error.message}`));
await worker.waitUntilReady();
console.log('ready');

process.on('SIGTERM', async () => {
  await worker.close();
  process.exit(0);
});
