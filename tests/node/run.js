#!/usr/bin/env node
// Runs the end-to-end tests: installs what package-lock.json pins, then runs each *.test.js in a process of its own.
//
//     node tests/node/run.js                    all of them, against what cargo built (release before debug)
//     node tests/node/run.js bullmq.test.js     these files only
//     node tests/node/run.js --packages         only installs, and says where: the soak uses them
//     DJR_SERVER=/usr/bin/redis-server node tests/node/run.js
//
// Needs Node 20 or newer and npm. The exit status is 1 if a test failed or a process was left behind, 124 if the whole run took longer
// than DJR_TEST_DEADLINE seconds (300).

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));

/** A directory with the packages, and in it a link `tests` to where this file is: modules are found from there, and nothing is
 * written into the repository. Made if there is none yet. */
function environment(source, target) {
  const manifests = ['package.json', 'package-lock.json'];
  const key = createHash('sha256').update(process.version);
  manifests.forEach((name) => key.update(readFileSync(join(source, name))));
  const home = join(target, 'node-packages', key.digest('hex').slice(0, 12));
  const complete = join(home, 'complete');
  if (existsSync(complete)) return home;
  console.log(`installing packages in ${home}`);
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  manifests.forEach((name) => copyFileSync(join(source, name), join(home, name)));
  symlinkSync(source, join(home, 'tests'));
  const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  const npm = spawnSync('npm', ['ci', ...flags], { cwd: home, stdio: 'inherit' });
  if (npm.status !== 0) {
    rmSync(home, { recursive: true, force: true });
    throw new Error(`npm ci failed: ${npm.error ?? npm.status}`);
  }
  writeFileSync(complete, '');
  return home;
}

function server(target) {
  if (process.env.DJR_SERVER) return resolve(process.env.DJR_SERVER);
  const built = ['release', 'debug'].map((profile) => join(target, profile, 'djr-server')).find(existsSync);
  if (!built) throw new Error('no server to test: run `cargo build --release -p djr-server`, or name one in DJR_SERVER');
  return built;
}

/** Starts the tests in a process group of their own, of which nothing outlives this. */
async function outer(files) {
  const target = resolve(process.env.CARGO_TARGET_DIR ?? join(HERE, '..', '..', 'target'));
  const home = environment(HERE, target);
  if (files.includes('--packages')) {
    console.log(home);
    return 0;
  }
  const scratch = mkdtempSync(join(tmpdir(), 'djr-node-'));
  const tests = spawn(process.execPath, [join(home, 'tests', 'run.js'), ...files], {
    detached: true,
    stdio: 'inherit',
    env: {
      ...process.env,
      DJR_SERVER: server(target),
      DJR_NODE_TESTS: join(home, 'tests'),
      TMPDIR: scratch,
      NODE_PRESERVE_SYMLINKS: '1',
      NODE_PRESERVE_SYMLINKS_MAIN: '1',
    },
  });
  const stop = () => tests.kill('SIGKILL');
  process.on('SIGINT', stop).on('SIGTERM', stop);
  let late = false;
  const seconds = Number(process.env.DJR_TEST_DEADLINE ?? 300);
  const deadline = setTimeout(() => ((late = true), stop()), seconds * 1000);
  const status = await new Promise((done) => tests.once('exit', (code) => done(code ?? 130)));
  clearTimeout(deadline);
  const left = leftovers(tests.pid);
  try {
    process.kill(-tests.pid, 'SIGKILL');
  } catch {
    // Nothing was left.
  }
  rmSync(scratch, { recursive: true, force: true });
  if (late) return console.error(`run.js: not done after ${seconds} s`), 124;
  if (left.length && status === 0) return console.error(`run.js: left behind, and ended now: ${left.join(', ')}`), 1;
  return status;
}

/** The processes of a group, as text (Linux; elsewhere none are seen). */
function leftovers(group) {
  if (!existsSync('/proc/self/stat')) return [];
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // pid (name) state parent group …; the name may hold anything.
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      const name = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
      return Number(fields[2]) === group && fields[0] !== 'Z' ? [`${name} (${pid})`] : [];
    } catch {
      return [];
    }
  });
}

async function inner(tests, files) {
  const chosen = files.length ? files : readdirSync(tests).filter((name) => name.endsWith('.test.js')).sort();
  console.log(`server under test: ${process.env.DJR_SERVER}`);
  let [passed, failed] = [0, 0];
  const began = Date.now();
  const stream = run({ files: chosen.map((name) => join(tests, name)), concurrency: 1, timeout: 60_000 });
  // A suite is its tests; a file is told only if it could not be run.
  const counts = ({ details }) => (details.type === 'suite' ? 0 : 1);
  stream.on('test:pass', (test) => (passed += counts(test)));
  stream.on('test:fail', (test) => (failed += counts(test)));
  stream.compose(new spec()).pipe(process.stdout);
  await new Promise((done) => stream.once('end', done));
  await new Promise((done) => setImmediate(done));
  console.log(`${passed} passed, ${failed} failed in ${((Date.now() - began) / 1000).toFixed(1)} s`);
  return failed || !passed ? 1 : 0;
}

const [major] = process.versions.node.split('.').map(Number);
if (major < 20) throw new Error('needs Node 20 or newer');
const within = process.env.DJR_NODE_TESTS;
process.exitCode = await (within ? inner(within, process.argv.slice(2)) : outer(process.argv.slice(2)));
