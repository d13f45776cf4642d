// node-redis: RESP2 and RESP3, client-side caching, connections that come back after kill -9.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { createClient, createClientPool, ErrorReply, WatchError } from 'redis';

import { Server } from './harness/server.js';
import { until } from './harness/waiting.js';

for (const RESP of [2, 3]) {
  describe(`node-redis, RESP${RESP}`, () => {
    let server, client;
    const opened = [];
    const open = async (options = {}) => {
      const made = createClient({ url: server.url, RESP, socket: { reconnectStrategy: 20 }, ...options });
      // Told when the server dies.
      made.on('error', () => {});
      opened.push(made);
      return made.connect();
    };

    before(async () => {
      server = await Server.start();
      client = await open();
    });
    beforeEach(() => client.flushAll());
    after(async () => {
      opened.filter((one) => one.isOpen).forEach((one) => one.destroy());
      await server.close();
    });

    test('replies of every shape', async () => {
      assert.equal(await client.set('k', 'v', { expiration: { type: 'EX', value: 100 }, condition: 'NX' }), 'OK');
      assert.equal(await client.get('k'), 'v');
      assert.equal(await client.get('none'), null);
      await client.hSet('h', { a: '1', b: '2' });
      assert.deepEqual({ ...(await client.hGetAll('h')) }, { a: '1', b: '2' });
      await client.zAdd('z', [{ score: 1.5, value: 'a' }, { score: 2, value: 'b' }]);
      assert.deepEqual((await client.zRangeWithScores('z', 0, -1)).map((one) => ({ ...one })), [
        { value: 'a', score: 1.5 },
        { value: 'b', score: 2 },
      ]);
      assert.equal(await client.zScore('z', 'a'), 1.5);
      await client.sAdd('s', ['x', 'y']);
      assert.deepEqual([...(await client.sMembers('s'))].sort(), ['x', 'y']);
      assert.deepEqual(await client.hExpire('h', 'a', 100), [1]);
      await client.geoAdd('g', { longitude: 13.361389, latitude: 38.115556, member: 'Palermo' });
      assert.equal(Math.round(Number((await client.geoPos('g', 'Palermo'))[0].longitude)), 13);
      await assert.rejects(client.lPush('k', '1'), ErrorReply);
    });

    test('transactions', async () => {
      assert.deepEqual(await client.multi().set('n', '1').incr('n').get('n').exec(), ['OK', 2, '2']);
      const other = await open();
      await client.watch('n');
      await other.set('n', '10');
      await assert.rejects(client.multi().incr('n').exec(), WatchError);
    });

    test('a pool, and blocking reads', async () => {
      const pool = createClientPool({ url: server.url, RESP }, { minimum: 1, maximum: 5 });
      await pool.connect();
      const waiting = pool.blPop('list', 10);
      await pool.rPush('list', 'x');
      assert.deepEqual({ ...(await waiting) }, { key: 'list', element: 'x' });
      const sums = await Promise.all(Array.from({ length: 100 }, () => pool.incr('n')));
      assert.equal(Math.max(...sums), 100);
      await pool.close();
    });

    test('scanning', async () => {
      await client.mSet(Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`key:${n}`, String(n)])));
      const found = new Set();
      for await (const keys of client.scanIterator({ MATCH: 'key:*', COUNT: 50 })) keys.forEach((key) => found.add(key));
      assert.equal(found.size, 500);
    });

    test('pub/sub, patterns and shards', async () => {
      const subscriber = await open();
      const heard = [];
      const hear = (message, channel) => heard.push(`${channel}:${message}`);
      await subscriber.subscribe('news', hear);
      await subscriber.pSubscribe('n?ws', hear);
      await subscriber.sSubscribe('shard', hear);
      await client.publish('news', 'extra');
      await client.sPublish('shard', 'sharded');
      await until(() => heard.length === 3);
      assert.deepEqual(heard.sort(), ['news:extra', 'news:extra', 'shard:sharded']);
      await subscriber.unsubscribe('news');
      assert.equal(await client.publish('news', 'more'), 1);
    });

    test('streams', async () => {
      await client.xGroupCreate('log', 'readers', '0', { MKSTREAM: true });
      const id = await client.xAdd('log', '*', { field: 'value' });
      const [stream] = await client.xReadGroup('readers', 'one', { key: 'log', id: '>' }, { COUNT: 10 });
      assert.equal(stream.name, 'log');
      assert.deepEqual(stream.messages.map((one) => [one.id, { ...one.message }]), [[id, { field: 'value' }]]);
      assert.equal((await client.xPending('log', 'readers')).pending, 1);
      assert.equal((await client.xInfoStream('log')).length, 1);
      const claimed = await client.xAutoClaim('log', 'readers', 'two', 0, '0');
      assert.equal(claimed.messages.length, 1);
      assert.equal(await client.xAck('log', 'readers', id), 1);
    });

    test('scripts and functions', async () => {
      assert.deepEqual(await client.eval('return {KEYS[1], ARGV[1], 3}', { keys: ['k'], arguments: ['a'] }), ['k', 'a', 3]);
      const code = "#!lua name=lib\nredis.register_function('twice', function(keys, args) return 2 * args[1] end)";
      assert.equal(await client.functionLoad(code, { REPLACE: true }), 'lib');
      assert.equal(await client.fCall('twice', { arguments: ['21'] }), 42);
      assert.equal((await client.functionList())[0].library_name, 'lib');
    });

    if (RESP === 3) {
      test('client-side caching', async () => {
        const cached = await open({ clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: 'LRU' } });
        await client.set('k', 'old');
        assert.equal(await cached.get('k'), 'old');
        const calls = async () => Number(/cmdstat_get:calls=(\d+)/.exec(await client.info('commandstats'))[1]);
        const before = await calls();
        assert.equal(await cached.get('k'), 'old');
        assert.equal(await calls(), before, 'answered by the client itself');
        await client.set('k', 'new');
        await until(async () => (await cached.get('k')) === 'new');
      });
    }

    test('a server that dies and comes back', async () => {
      const subscriber = await open();
      const heard = [];
      await subscriber.subscribe('news', (message) => heard.push(message));
      await client.set('kept', 'v');
      const lost = new Promise((resolve) => client.once('reconnecting', resolve));
      await server.kill9();
      await lost;
      // Kept by the client until there is a server again.
      const waiting = client.get('kept');
      await server.restart();
      assert.equal(await waiting, 'v');
      await until(async () => {
        await client.publish('news', 'back');
        return heard.includes('back');
      });
    });
  });
}
