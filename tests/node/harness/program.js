// A program that a test starts beside the server, and the ledger that its jobs write into.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { until } from './waiting.js';

export class Program {
  /** Starts a module of these tests (`./worker.js`) and waits until it says `ready`. */
  static async start(module, environ = {}) {
    const program = new Program();
    program.said = '';
    program.process = spawn(process.execPath, [fileURLToPath(new URL(`../${module}`, import.meta.url))], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environ },
    });
    program.ended = once(program.process, 'exit');
    for (const stream of [program.process.stdout, program.process.stderr]) {
      stream.on('data', (data) => (program.said += data));
    }
    await until(() => program.said.includes('ready') || program.process.exitCode !== null, {
      seconds: 30,
      what: () => `${module} ready:\n${program.said}`,
    });
    if (!program.running) throw new Error(`${module} ended:\n${program.said}`);
    return program;
  }

  get running() {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  async kill9() {
    if (this.running) this.process.kill('SIGKILL');
    await this.ended;
  }

  /** SIGTERM; returns the exit status of the clean end that must follow. */
  async terminate() {
    this.process.kill('SIGTERM');
    const [status] = await this.ended;
    return status;
  }
}

/** A file into which jobs write a line when they run: what the server forgets, it knows. */
export class Ledger {
  constructor(path) {
    this.path = path;
    writeFileSync(path, '', { flag: 'a' });
  }

  note(entry) {
    appendFileSync(this.path, `${entry}\n`);
  }

  lines() {
    return readFileSync(this.path, 'utf8').split('\n').filter(Boolean);
  }

  count(entry) {
    return this.lines().filter((line) => line === entry).length;
  }
}
