// A leader that answers, and whose disk takes too long, hands over by itself.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { request } = require('../../trial/lib/http.js');
const { BIN, Scene } = require('./support/scene.js');
const { SmallGroup, NAMES } = require('./support/small_group.js');

const SLOW_SYNC = path.join(BIN, '../lib/libfettle-slow-sync.so');
const LEVEL_MS = 15000;
const HANDED_OVER_MS = 40000;
/** Far above half of the election timeout of 300 ms; nothing else of the leader is slow. */
const SLOW_MS = 400;
const WRITE_EVERY_MS = 1200;

const flag = (scene, name) => path.join(scene.folder, `${name}-limps`);

test('a leader whose disk limps hands over, and none is elected by a timeout', { timeout: 120000 }, () =>
  Scene.play(async (scene) => {
    const hosts = Object.fromEntries(NAMES.map((name) => [name, {
      run: ['env', `LD_PRELOAD=${SLOW_SYNC}`, `FETTLE_SLOW_SYNC=${flag(scene, name)}`,
        `FETTLE_SLOW_SYNC_MS=${SLOW_MS}`],
    }]));
    const group = await SmallGroup.make(scene, { spec: 'version: 1\n', hosts });
    await group.start(...NAMES);
    const { cluster } = await group.until('writes are possible', LEVEL_MS, 'm1', '/v1/status',
      (one) => one.cluster?.level === 2 && one.cluster.leader);
    const { leader, term } = cluster;
    const other = NAMES.find((name) => name !== leader);
    fs.writeFileSync(flag(scene, leader), '');

    // A write now and then: what looks at the disk in between learns nothing, and must not forget.
    const end = performance.now() + HANDED_OVER_MS;
    let now = cluster;
    while (now.leader === leader || !now.leader) {
      assert.ok(performance.now() < end, `${leader} still leads`);
      await request({
        socketPath: group.member(other).socket, method: 'PUT', path: '/v1/kv/now',
        body: JSON.stringify({ value: performance.now() }), timeoutMs: 10000,
      });
      await scene.bus.pass(WRITE_EVERY_MS);
      now = (await group.stale(other)).cluster;
    }
    assert.match(group.log(leader), /leader\.limps/);
    assert.strictEqual(now.term, term + 1, 'one election, at once');
  }),
);
