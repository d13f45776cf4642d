// A sender of BullMQ jobs in a process of its own, for the soak: it adds numbered jobs until it is told to end, and writes down those that
// the server took. DJR_TEST_PORT, DJR_TEST_DB, and DJR_TEST_TAKEN (the file) are in the environment.

import { appendFileSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { Queue } from 'bullmq';

const PER_SECOND = 20;

const queue = new Queue('soak', {
  connection: { host: '127.0.0.1', port: Number(process.env.DJR_TEST_PORT), db: Number(process.env.DJR_TEST_DB) },
});
queue.on('error', (error) => console.log(`error: ${error.message}`));
await queue.waitUntilReady();
console.log('ready');

let ending = false;
process.on('SIGTERM', () => (ending = true));

// It may have lived before.
let number = readFileSync(process.env.DJR_TEST_TAKEN, 'utf8').split('\n').length * 10;
while (!ending) {
  number += 1;
  const entry = `soak-bullmq-${String(number).padStart(8, '0')}`;
  try {
    const options = { jobId: entry, removeOnComplete: { count: 100 }, removeOnFail: { count: 1000 }, attempts: 5 };
    const delay = number % 4 === 0 ? { delay: 500 } : {};
    await queue.add('note', { entry }, { ...options, ...delay });
    appendFileSync(process.env.DJR_TEST_TAKEN, `${entry}\n`);
  } catch (error) {
    console.log(`error: ${error.message}`);
  }
  await sleep(1000 / PER_SECOND);
}
await queue.close();
process.exit(0);
