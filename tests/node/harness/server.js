// The server under test, as a process: started, killed and started again on the same directory.

import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { until } from './waiting.js';

/** The server to test; `run.js` has chosen it. */
export const binary = () => process.env.DJR_SERVER ?? '';

/** A port nobody listens on, below those from which the kernel takes source ports. */
async function freePort() {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    const free = await new Promise((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

export class Server {
  /** @param {{appendfsync?: string}} options */
  static async start({ appendfsync = 'everysec' } = {}) {
    const server = new Server();
    server.home = mkdtempSync(join(tmpdir(), 'server-'));
    server.dir = join(server.home, 'data');
    mkdirSync(server.dir);
    server.appendfsync = appendfsync;
    server.port = await freePort();
    await server.#launch();
    return server;
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** What ioredis and BullMQ take. */
  get connection() {
    return { host: '127.0.0.1', port: this.port };
  }

  async #launch() {
    const log = openSync(join(this.home, 'log'), 'a');
    this.process = spawn(
      binary(),
      ['--port', this.port, '--bind', '127.0.0.1', '--dir', this.dir, '--save', ''].concat([
        '--appendonly', 'yes', '--appendfsync', this.appendfsync,
      ]).map(String),
      { stdio: ['ignore', log, log] },
    );
    closeSync(log);
    this.ended = new Promise((resolve) => this.process.once('exit', resolve));
    await until(() => this.#answers(), { seconds: 30, what: () => `a server that answers:\n${this.log()}` });
  }

  #answers() {
    if (this.process.exitCode !== null) throw new Error(`the server ended:\n${this.log()}`);
    return new Promise((resolve) => {
      const socket = connect(this.port, '127.0.0.1', () => socket.write('PING\r\n'));
      socket.once('data', (data) => {
        resolve(data.toString().startsWith('+PONG'));
        socket.destroy();
      });
      socket.once('error', () => resolve(false));
    });
  }

  /** SIGKILL: no handler runs, the process flushes nothing. */
  async kill9() {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  /** Starts again on the same port and directory. */
  restart() {
    return this.#launch();
  }

  async close() {
    await this.kill9();
    rmSync(this.home, { recursive: true, force: true });
  }

  log() {
    const path = join(this.home, 'log');
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(-30).join('\n') : '';
  }
}
