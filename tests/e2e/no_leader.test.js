// A group that lost its majority cannot decide anything; whoever is left says so.
'use strict';

const assert = require('node:assert');
const { test } = require('node:test');
const { Scene } = require('./support/scene.js');
const { Group } = require('./support/group.js');

const AFTER_MS = 60000;
const SLACK_MS = 15000;

test('without a leader for a minute the one voter left alerts by itself, and resolves it later',
  { timeout: 180000 },
  () =>
    Scene.play(async (scene) => {
      const group = await Group.start(scene);
      await group.untilHealthy('m1');
      const told = (status) =>
        group.receiver.deliveries.filter(
          (one) => one.valid && one.status === status && one.id.includes('no_leader-m1-'),
        );
      const lost = performance.now();
      await group.kill('m2', 'm3');
      await scene.bus.until('the alert', AFTER_MS + SLACK_MS, () => told('firing').length > 0);
      assert.ok(told('firing')[0].at - lost >= AFTER_MS - 1000, 'not before its time');
      assert.match(told('firing')[0].text, /m1 has known no leader for .*cluster\.no_leader/);
      assert.deepStrictEqual(told('firing')[0].incidents, []);
      await group.startMembers('m2');
      await scene.bus.until('its end', SLACK_MS, () => told('resolved').length > 0);
      assert.strictEqual(new Set(told('firing').map((one) => one.id)).size, 1);
    }),
);
