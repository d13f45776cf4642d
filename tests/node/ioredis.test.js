// ioredis: what programs use of it, and connections that come back after kill -9.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { Redis } from 'ioredis';

import { Server } from './harness/server.js';
import { until } from './harness/waiting.js';

describe('ioredis', () => {
  let server, redis;
  const opened = [];
  const open = (options = {}) => {
    const client = new Redis({ ...server.connection, ...options });
    opened.push(client);
    return client;
  };

  before(async () => {
    server = await Server.start();
    redis = open();
  });
  beforeEach(() => redis.flushall());
  after(async () => {
    opened.forEach((client) => client.disconnect());
    await server.close();
  });

  test('strings, hashes, sorted sets', async () => {
    assert.equal(await redis.set('k', 'v', 'EX', 100, 'NX'), 'OK');
    assert.equal(await redis.set('k', 'w', 'NX'), null);
    assert.equal(await redis.get('k', () => {}), 'v');
    assert.deepEqual(await redis.getBuffer('k'), Buffer.from('v'));
    await redis.hset('h', { a: 1, b: 'two' });
    assert.deepEqual(await redis.hgetall('h'), { a: '1', b: 'two' });
    await redis.zadd('z', 1.5, 'a', 2, 'b');
    assert.deepEqual(await redis.zrange('z', 0, -1, 'WITHSCORES'), ['a', '1.5', 'b', '2']);
    await assert.rejects(redis.lpush('k', 1), /WRONGTYPE/);
  });

  test('pipelines and transactions', async () => {
    const results = await redis.pipeline().set('a', 1).incr('a').lpush('a', 1).get('a').exec();
    assert.deepEqual(results.map(([error, value]) => error?.message.split(' ')[0] ?? value), ['OK', 2, 'WRONGTYPE', '2']);
    assert.deepEqual(await redis.multi().incr('n').incr('n').exec(), [[null, 1], [null, 2]]);
    const other = open();
    await redis.watch('n');
    await other.set('n', 10);
    assert.equal(await redis.multi().incr('n').exec(), null);
    await assert.rejects(redis.multi().set('x').exec(), /EXECABORT/);
  });

  test('pipelining by itself', async () => {
    const auto = open({ enableAutoPipelining: true });
    const values = await Promise.all(Array.from({ length: 1000 }, (_, n) => auto.incrby('sum', n).then(() => n)));
    assert.equal(values.length, 1000);
    assert.equal(await auto.get('sum'), '499500');
  });

  test('scripts', async () => {
    redis.defineCommand('hit', {
      numberOfKeys: 1,
      lua: "local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end return {n, redis.call('PTTL', KEYS[1]) > 0}",
    });
    assert.deepEqual(await redis.hit('hits', 5000), [1, 1]);
    await redis.script('FLUSH');
    assert.deepEqual(await redis.hit('hits', 5000), [2, 1]);
  });

  test('scanning', async () => {
    await redis.mset(Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`key:${n}`, n])));
    const found = new Set();
    for await (const keys of redis.scanStream({ match: 'key:*', count: 50 })) keys.forEach((key) => found.add(key));
    assert.equal(found.size, 500);
  });

  test('pub/sub and keyspace events', async () => {
    const subscriber = open();
    const heard = [];
    subscriber.on('message', (channel, message) => heard.push([channel, message]));
    subscriber.on('pmessage', (pattern, channel, message) => heard.push([pattern, channel, message]));
    await redis.config('SET', 'notify-keyspace-events', 'Ex');
    await subscriber.subscribe('news');
    await subscriber.psubscribe('__keyevent@*:expired');
    assert.equal(await redis.publish('news', 'extra'), 1);
    await redis.set('brief', 1, 'PX', 50);
    await until(() => heard.length === 2);
    assert.deepEqual(heard, [['news', 'extra'], ['__keyevent@*:expired', '__keyevent@0__:expired', 'brief']]);
  });

  test('streams and blocking reads', async () => {
    await redis.xgroup('CREATE', 'log', 'readers', '$', 'MKSTREAM');
    const reader = open();
    const waiting = reader.xreadgroup('GROUP', 'readers', 'one', 'COUNT', 10, 'BLOCK', 10_000, 'STREAMS', 'log', '>');
    const id = await redis.xadd('log', '*', 'field', 'value');
    assert.deepEqual(await waiting, [['log', [[id, ['field', 'value']]]]]);
    assert.equal((await redis.xpending('log', 'readers'))[0], 1);
    assert.equal(await redis.xack('log', 'readers', id), 1);
    const popping = reader.blpop('list', 'other', 10);
    await redis.rpush('other', 'x');
    assert.deepEqual(await popping, ['other', 'x']);
    assert.equal(await reader.blpop('list', 0.05), null);
  });

  test('a server that dies and comes back', async () => {
    const [client, subscriber, popper] = [open({ retryStrategy: () => 20 }), open({ retryStrategy: () => 20 }), open({ retryStrategy: () => 20 })];
    [client, subscriber, popper, redis].forEach((one) => one.on('error', () => {}));
    popper.options.maxRetriesPerRequest = null;
    const heard = [];
    subscriber.on('message', (_, message) => heard.push(message));
    await subscriber.subscribe('news');
    await client.set('kept', 'v');
    const popped = popper.blpop('queue', 0);
    await until(async () => /blocked_clients:1/.test(await client.info('clients')));
    await server.kill9();
    // Kept by the client until there is a server again.
    const waiting = client.get('kept');
    await server.restart();
    assert.equal(await waiting, 'v');
    await until(async () => (await client.publish('news', 'back')) === 1);
    await until(() => heard.includes('back'));
    await client.rpush('queue', 'job');
    assert.deepEqual(await popped, ['queue', 'job']);
  });
});
