// The trial's story on the built daemon, once: what a user sees by `./dev run --once`.
'use strict';

const assert = require('node:assert');
const path = require('node:path');
const { test } = require('node:test');
const { runToEnd } = require('../../trial/lib/processes.js');
const { ROOT, BIN } = require('./support/scene.js');

const STORY_MS = 180000;

test('./dev run --once: a model server dies, the traffic moves, someone is told', { timeout: STORY_MS },
  async () => {
    const args = [path.join(ROOT, 'trial/trial.js'), '--once', '--output', 'json', '--bin', BIN];
    const said = await runToEnd(process.execPath, args, STORY_MS);
    const result = JSON.parse(said.trimEnd().split('\n').at(-1));
    assert.strictEqual(result.ok, true);
    assert.strictEqual(result.members, 3);
    assert.ok(result.control.failed > 0);
    assert.ok(result.detected_ms > 0 && result.isolated_ms >= result.detected_ms);
    assert.strictEqual(result.requests.failed_after_isolation, 0);
    assert.deepStrictEqual(result.alerts, { firing: 1, resolved: 1, duplicates: 0 });
    assert.strictEqual(result.restored, true);
    assert.ok(result.hang.detected_ms > 0 && result.hang.isolated_ms >= result.hang.detected_ms);
    assert.deepStrictEqual(result.leader_killed, { resumed_step: 'hold', steps_repeated: 0 });
    assert.ok(result.duration_s > 0 && Object.keys(result.settings).length > 0);
  },
);
