// A few large values fill the log as many small ones do: it is compacted by bytes, and a member that
// was away meanwhile gets the snapshot, in chunks. What is newer than the snapshot stands in the log.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { request } = require('../../trial/lib/http.js');
const { Scene } = require('./support/scene.js');
const { SmallGroup, NAMES } = require('./support/small_group.js');
const { FETTLED } = require('./support/standalone.js');

const LEVEL_MS = 15000;
const WRITTEN_MS = 60000;
const VALUE_BYTES = 250000;
/** 50 MB: more than a tail of 16 MiB and what may gather before the next snapshot. */
const WRITES = 200;
const KEPT_MAX = 2 * Math.ceil((16 * 1024 * 1024) / VALUE_BYTES) + 5;
assert.ok(KEPT_MAX < WRITES);

async function logEntries(group, name) {
  const { socket } = group.member(name);
  const { body } = await request({ socketPath: socket, path: '/metrics', timeoutMs: 10000 });
  return Number(/^fettle_raft_log_entries (\d+)$/m.exec(body)[1]);
}

const value = (i) => `${i} ${'x'.repeat(VALUE_BYTES)}`;

/** Asked again while there is no leader, or the outcome is not known: a slow disk may cost elections. */
async function writeLarge(group, times) {
  const end = performance.now() + WRITTEN_MS;
  for (let i = 0; i < times; ) {
    const { status, body } = await request({
      socketPath: group.member('m1').socket, method: 'PUT', path: '/v1/kv/large',
      body: JSON.stringify({ value: value(i) }), timeoutMs: 10000,
    });
    if (status === 200) i += 1;
    else assert.ok([503, 504].includes(status) && performance.now() < end, `${status} ${body}`);
  }
}

test('the log is compacted by bytes, and who lacks what is gone gets the snapshot', { timeout: 120000 }, () =>
  Scene.play(async (scene) => {
    const group = await SmallGroup.make(scene, { spec: 'version: 1\n' });
    await group.start(...NAMES);
    await group.until('writes are possible', LEVEL_MS, 'm1', '/v1/status', (one) => one.cluster?.level === 2);
    await scene.processes.kill('m3', 'SIGKILL').exit;
    await writeLarge(group, WRITES);
    for (const name of ['m1', 'm2']) {
      const kept = await logEntries(group, name);
      assert.ok(kept <= KEPT_MAX, `${name} keeps ${kept} entries`);
    }
    await group.start('m3');
    const read = await group.get('m3', '/v1/kv/large?consistency=stale');
    assert.strictEqual(read.value, value(WRITES - 1));
    assert.ok((await logEntries(group, 'm3')) <= KEPT_MAX);
  }),
);

test('all are killed after one was added anew: two of them go by their logs, not by the older snapshot', { timeout: 120000 }, () =>
  Scene.play(async (scene) => {
    const group = await SmallGroup.make(scene, { spec: 'version: 1\n' });
    await group.start(...NAMES);
    await group.until('writes are possible', LEVEL_MS, 'm1', '/v1/status', (one) => one.cluster?.level === 2);
    await writeLarge(group, KEPT_MAX);
    await group.fettle('m1', 'member', 'remove', 'm2');
    await scene.processes.kill('m2', 'SIGKILL').exit;
    fs.rmSync(path.join(scene.folder, 'data', 'm2'), { recursive: true });
    const { file, clusterPort } = group.member('m2');
    scene.processes.start('m2', FETTLED, ['--config', file]);
    await group.fettle('m1', 'member', 'add', 'm2', '--address', `127.0.0.1:${clusterPort}`);

    for (const name of NAMES) await scene.processes.kill(name, 'SIGKILL').exit;
    await group.start('m1', 'm2');
    const read = await group.get('m2', '/v1/kv/large');
    assert.strictEqual(read.value, value(KEPT_MAX - 1));
  }),
);
