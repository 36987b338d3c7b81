// What a group of three answers: writes through any member, reads that say how fresh they are.
'use strict';

const assert = require('node:assert');
const { test } = require('node:test');
const { Scene } = require('./support/scene.js');
const { Group, NAMES } = require('./support/group.js');

const STALE_STATUS = '/v1/status?consistency=stale';
const NO_LEADER_MS = 10000;
const ANSWER_MS = 8000;

const body = (said) => JSON.parse(said.body);

test('a follower forwards a write; the same key on another member repeats nothing',
  { timeout: 200000 },
  () =>
    Scene.play(async (scene) => {
      const group = await Group.start(scene);
      await group.untilHealthy('m1');
      const leader = await group.leaderBy('m1');
      const [follower, other] = NAMES.filter((name) => name !== leader);
      const isolate = (name) =>
        group.local(name, 'POST', '/v1/nodes/chat-a/isolate', {
          body: JSON.stringify({ reason: 'a new disk' }),
          headers: { 'content-type': 'application/json', 'idempotency-key': 'disk-1' },
          timeoutMs: ANSWER_MS,
        });

      const first = await isolate(follower);
      assert.strictEqual(first.status, 200, first.body);
      const { run } = body(first);
      await group.untilGet(
        leader,
        `/v1/runs/${run}`,
        ANSWER_MS,
        (one) => one.state === 'succeeded',
      );
      for (const name of [other, leader, follower]) {
        assert.deepStrictEqual(body(await isolate(name)), body(first), `the answer by ${name}`);
      }
      const { runs } = await group.get(other, '/v1/runs');
      assert.strictEqual(runs.length, 1);

      for (const { name } of group.members) {
        const refused = await group.tcp(name, 'POST', '/v1/nodes/chat-a/restore', { body: '{}' });
        assert.strictEqual(refused.status, 403);
        assert.strictEqual(body(refused).error.code, 'read_only');
        assert.strictEqual((await group.tcp(name, 'GET', '/v1/nodes/chat-a')).status, 200);
      }
      assert.strictEqual((await group.get(other, '/v1/nodes/chat-a')).admin, 'isolated');
    }),
);

test('cut off from both others a member serves stale reads, says how old, and nothing else',
  { timeout: 200000 },
  () =>
    Scene.play(async (scene) => {
      const group = await Group.start(scene);
      await group.untilHealthy('m1');
      const left = await group.leaderBy('m1');
      await group.kill(...NAMES.filter((name) => name !== left));
      const alone = await group.untilGet(
        left,
        STALE_STATUS,
        NO_LEADER_MS,
        (said) => said.cluster.leader === null,
      );
      assert.strictEqual(alone.services[0].total, 2, 'what it knew is still told');
      await group.untilGet(
        left,
        STALE_STATUS,
        NO_LEADER_MS,
        (said) => said.stale_ms > alone.stale_ms,
      );

      const began = performance.now();
      const fresh = await group.local(left, 'GET', '/v1/status', { timeoutMs: ANSWER_MS });
      assert.ok(performance.now() - began < ANSWER_MS);
      assert.strictEqual(fresh.status, 503);
      assert.strictEqual(body(fresh).error.code, 'not_leader');
      const write = await group.local(left, 'POST', '/v1/freeze', {
        body: '{}',
        timeoutMs: ANSWER_MS,
      });
      assert.strictEqual(write.status, 503);
      assert.strictEqual(body(write).error.code, 'not_leader');
      assert.strictEqual((await group.tcp(left, 'GET', '/readyz')).status, 503);
      assert.strictEqual((await group.tcp(left, 'GET', '/healthz')).status, 200);

      await group.startMembers(...NAMES.filter((name) => name !== left));
      const again = await group.untilGet(left, '/v1/status', NO_LEADER_MS, (said) => said.services);
      assert.strictEqual(again.stale_ms, undefined, 'a fresh read says nothing of its age');
    }),
);
