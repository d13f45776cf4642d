// BullMQ with real worker processes: delays, priorities, repetition, flows, limits, stalled jobs, kill -9 of the server.

import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { FlowProducer, Queue, QueueEvents } from 'bullmq';

import { Ledger, Program } from './harness/program.js';
import { Server } from './harness/server.js';
import { until } from './harness/waiting.js';

/** A server, a ledger, and what is opened on them, closed together. */
class Bench {
  static async open(options) {
    const bench = new Bench();
    bench.home = mkdtempSync(join(tmpdir(), 'bullmq-'));
    bench.ledger = new Ledger(join(bench.home, 'ledger'));
    bench.server = await Server.start(options);
    bench.closing = [];
    return bench;
  }

  queue(name) {
    const queue = new Queue(name, { connection: this.server.connection });
    return this.#keep(queue);
  }

  async events(name) {
    const events = this.#keep(new QueueEvents(name, { connection: this.server.connection }));
    await events.waitUntilReady();
    return events;
  }

  flows() {
    return this.#keep(new FlowProducer({ connection: this.server.connection }));
  }

  async worker(queue, options = {}) {
    const program = await Program.start('worker.js', {
      DJR_TEST_PORT: String(this.server.port),
      DJR_TEST_LEDGER: this.ledger.path,
      DJR_TEST_WORKER: JSON.stringify({ queue, options }),
    });
    this.closing.push(() => program.kill9());
    return program;
  }

  #keep(opened) {
    // Told when the server dies; that is what these tests do.
    opened.on('error', () => {});
    // One for each job that is awaited.
    opened.setMaxListeners(0);
    this.closing.push(() => opened.close());
    return opened;
  }

  async close() {
    for (const close of this.closing.reverse()) await close();
    await this.server.close();
  }
}

const done = (job, events) => job.waitUntilFinished(events, 30_000);
const inState = (job, state) => until(async () => (await job.getState()) === state, { what: `${state} of ${job.id}` });

describe('a worker process', () => {
  let bench, queue, events;

  before(async () => {
    bench = await Bench.open();
    queue = bench.queue('jobs');
    events = await bench.events('jobs');
    await bench.worker('jobs', { concurrency: 2 });
  });
  after(() => bench.close());

  test('runs jobs and gives results', async () => {
    assert.equal(await done(await queue.add('add', { x: 2, y: 3 }), events), 5);
    const added = Array.from({ length: 200 }, (_, n) => ({ name: 'add', data: { x: n, y: n } }));
    const jobs = await queue.addBulk(added);
    assert.deepEqual(await Promise.all(jobs.map((job) => done(job, events))), added.map(({ data }) => 2 * data.x));
  });

  test('tries again, and keeps what has failed', async () => {
    const options = { attempts: 3, backoff: { type: 'exponential', delay: 50 } };
    const passes = await queue.add('failAtFirst', { entry: 'passes', failures: 2 }, options);
    assert.equal(await done(passes, events), 3);
    const fails = await queue.add('failAtFirst', { entry: 'fails', failures: 9 }, options);
    await assert.rejects(done(fails, events), /failed: fails/);
    assert.equal(bench.ledger.count('fails'), 3);
    assert.deepEqual((await queue.getFailed()).map((job) => job.id), [fails.id]);
    const failed = await queue.getJob(fails.id);
    assert.equal(failed.attemptsMade, 3);
    assert.match(failed.stacktrace[0], /failed: fails/);
    // By hand it may run once more.
    await failed.updateData({ entry: 'fails', failures: 0 });
    await failed.retry();
    assert.equal(await done(failed, events), 4);
  });

  test('waits with delayed jobs', async () => {
    const began = Date.now();
    const later = await queue.add('note', { entry: 'later' }, { delay: 700 });
    const sooner = await queue.add('note', { entry: 'sooner' }, { delay: 60_000 });
    assert.equal(await later.getState(), 'delayed');
    await sooner.changeDelay(300);
    await Promise.all([done(later, events), done(sooner, events)]);
    assert.ok(Date.now() - began >= 690);
    assert.ok(bench.ledger.lines().indexOf('sooner') < bench.ledger.lines().indexOf('later'));
    const promoted = await queue.add('note', { entry: 'promoted' }, { delay: 3_600_000 });
    await promoted.promote();
    await done(promoted, events);
  });

  test('repeats jobs', async () => {
    await queue.upsertJobScheduler('often', { every: 200 }, { name: 'note', data: { entry: 'often' } });
    await queue.upsertJobScheduler('cron', { pattern: '* * * * * *' }, { name: 'note', data: { entry: 'cron' } });
    await queue.upsertJobScheduler('twice', { every: 100, limit: 2 }, { name: 'note', data: { entry: 'twice' } });
    await until(() => bench.ledger.count('often') >= 4 && bench.ledger.count('cron') >= 2 && bench.ledger.count('twice') === 2);
    const ids = (await queue.getJobSchedulers()).map((scheduler) => scheduler.key);
    assert.ok(ids.includes('often') && ids.includes('cron'));
    assert.ok(await queue.removeJobScheduler('often'));
    assert.ok(await queue.removeJobScheduler('cron'));
    await until(async () => (await queue.getDelayedCount()) === 0);
  });

  test('runs flows from the leaves up', async () => {
    const leaf = (n) => ({ name: 'add', queueName: 'jobs', data: { x: n, y: 1 } });
    const branch = { name: 'total', queueName: 'jobs', children: [leaf(1), leaf(2)] };
    const flow = await bench.flows().add({ name: 'total', queueName: 'jobs', children: [branch, leaf(10)] });
    assert.equal(await done(flow.job, events), 16);
    const broken = { name: 'failAtFirst', queueName: 'jobs', data: { entry: 'broken', failures: 9 } };
    const parent = await bench.flows().add({
      name: 'total', queueName: 'jobs', children: [{ ...broken, opts: { failParentOnFailure: true } }],
    });
    await inState(parent.job, 'failed');
  });

  test('tells progress and logs', async () => {
    const gate = join(bench.home, 'gate');
    const job = await queue.add('waitForFile', { path: gate, entry: 'gated' });
    const progress = new Promise((resolve) => events.on('progress', resolve));
    assert.deepEqual((await progress).data, { at: 'the gate' });
    await inState(job, 'active');
    assert.equal((await queue.getWorkers()).length, 1);
    writeFileSync(gate, '');
    assert.equal(await done(job, events), 'found');
    const telling = await queue.add('tell');
    await done(telling, events);
    assert.deepEqual(await queue.getJobLogs(telling.id), { logs: ['first line', 'second line'], count: 2 });
  });

  test('takes a job once', async () => {
    const options = { deduplication: { id: 'same' }, delay: 200 };
    const first = await queue.add('note', { entry: 'same' }, options);
    const again = await queue.add('note', { entry: 'same' }, options);
    assert.equal(again.id, first.id);
    const named = await queue.add('note', { entry: 'named' }, { jobId: 'named' });
    await done(named, events);
    await queue.add('note', { entry: 'named' }, { jobId: 'named' });
    await done(first, events);
    assert.equal(bench.ledger.count('same'), 1);
    assert.equal(bench.ledger.count('named'), 1);
  });

  test('keeps as many as it is told, and can be emptied', async () => {
    const few = bench.queue('few');
    await bench.worker('few', { removeOnComplete: { count: 3 } });
    const jobs = await few.addBulk(Array.from({ length: 10 }, (_, n) => ({ name: 'add', data: { x: n, y: n } })));
    await until(async () => (await few.getCompletedCount()) === 3 && (await few.getWaitingCount()) === 0);
    assert.equal(await jobs[0].getState(), 'unknown');
    assert.equal((await few.clean(0, 100, 'completed')).length, 3);
    await few.pause();
    await few.add('add', { x: 1, y: 1 });
    assert.ok(await few.isPaused());
    assert.equal(await few.count(), 1, 'it waits');
    await few.drain();
    assert.equal(await few.count(), 0);
    await few.obliterate();
  });
});

test('jobs run by priority', async (t) => {
  const bench = await Bench.open();
  t.after(() => bench.close());
  const queue = bench.queue('ranked');
  const priorities = [5, 1, 9, 0, 3, 1];
  for (const [n, priority] of priorities.entries()) {
    await queue.add('note', { entry: `p${priority}:${n}` }, { priority });
  }
  const lifo = await queue.add('note', { entry: 'p0:lifo' }, { lifo: true });
  const raised = await queue.add('note', { entry: 'p2:raised' }, { priority: 100 });
  await raised.changePriority({ priority: 2 });
  await bench.worker('ranked', { concurrency: 1 });
  await until(() => bench.ledger.lines().length === 8);
  const order = ['p0:lifo', 'p0:3', 'p1:1', 'p1:5', 'p2:raised', 'p3:4', 'p5:0', 'p9:2'];
  assert.deepEqual(bench.ledger.lines(), order, lifo.id);
});

test('a rate limit holds across workers', async (t) => {
  const bench = await Bench.open();
  t.after(() => bench.close());
  const queue = bench.queue('limited');
  const events = await bench.events('limited');
  const limiter = { max: 5, duration: 600 };
  await Promise.all([bench.worker('limited', { limiter }), bench.worker('limited', { limiter })]);
  const began = Date.now();
  const jobs = await queue.addBulk(Array.from({ length: 12 }, (_, n) => ({ name: 'add', data: { x: n, y: n } })));
  await Promise.all(jobs.map((job) => done(job, events)));
  assert.ok(Date.now() - began >= 1100, '5, 5 and 2 in three windows');
});

test('jobs of a worker that died run elsewhere', async (t) => {
  const bench = await Bench.open();
  t.after(() => bench.close());
  const queue = bench.queue('stalled');
  const events = await bench.events('stalled');
  const gate = join(bench.home, 'gate');
  const options = { lockDuration: 500, stalledInterval: 300, maxStalledCount: 3 };
  const first = await bench.worker('stalled', options);
  const job = await queue.add('waitForFile', { path: gate, entry: 'stalled' });
  await until(() => bench.ledger.count('stalled:started') === 1);
  const stalled = new Promise((resolve) => events.on('stalled', resolve));
  await first.kill9();
  await bench.worker('stalled', options);
  assert.equal((await stalled).jobId, job.id);
  writeFileSync(gate, '');
  assert.equal(await done(job, events), 'found');
  assert.equal(bench.ledger.count('stalled:started'), 2);
});

for (const appendfsync of ['always', 'everysec']) {
  test(`kill -9 of the server loses no job (${appendfsync})`, async (t) => {
    const bench = await Bench.open({ appendfsync });
    t.after(() => bench.close());
    const queue = bench.queue('jobs');
    const gate = join(bench.home, 'gate');
    const worker = await bench.worker('jobs', { concurrency: 2, lockDuration: 2000, stalledInterval: 500, maxStalledCount: 9 });
    const entries = [];
    for (const n of [0, 1]) {
      await queue.add('waitForFile', { path: gate, entry: `running${n}` });
      entries.push(`running${n}`);
    }
    await until(() => bench.ledger.lines().length === 2);
    await queue.upsertJobScheduler('often', { every: 300 }, { name: 'note', data: { entry: 'often' } });
    await bench.flows().add({
      name: 'note', queueName: 'jobs', data: { entry: 'parent' },
      children: [{ name: 'note', queueName: 'jobs', data: { entry: 'child' } }],
    });
    entries.push('parent', 'child');
    // Until the server is gone; what was answered is what counts.
    let adding = true;
    const producer = (async () => {
      for (let n = 0; adding; n++) {
        const entry = `job${n}`;
        const added = queue.add('note', { entry }, { delay: n % 4 === 0 ? 800 : 0, priority: n % 3 });
        if (await Promise.race([added.then(() => true, () => false), bench.server.ended.then(() => false)])) entries.push(entry);
        else return added.catch(() => {});
      }
    })();
    await until(() => entries.length >= 150);
    await bench.server.kill9();
    adding = false;
    await bench.server.restart();
    await producer;
    writeFileSync(gate, '');
    await until(() => entries.every((entry) => bench.ledger.count(entry) >= 1), {
      seconds: 30,
      what: () => `jobs that did not run: ${entries.filter((entry) => !bench.ledger.count(entry)).slice(0, 10)}\n${worker.said.slice(-2000)}`,
    });
    const often = bench.ledger.count('often');
    await until(() => bench.ledger.count('often') > often + 1, { what: 'the scheduler goes on' });
    assert.ok(worker.running, 'the worker connected again by itself');
    assert.equal(await worker.terminate(), 0);
  });
}
