// A member that is killed while the leader holds writes that it forwarded: what becomes of them is
// told to nobody, least of all to those who ask the member after its start.
'use strict';

const assert = require('node:assert');
const { setTimeout: sleep } = require('node:timers/promises');
const { test } = require('node:test');
const { request } = require('../../trial/lib/http.js');
const { Scene } = require('./support/scene.js');
const { SmallGroup, NAMES } = require('./support/small_group.js');

const ROUNDS = 5;
const BEFORE = 40; // writes, forwarded at once
const ANSWER_MS = 3000;
const ASKING_MS = 700; // from the start; the leader gives up a majority's silence after 300 to 600 ms
const ASK_EVERY_MS = 2;
const NEVER = '999999999'; // a revision that no key has

/** The status of a write to a key through a member; a word if there is no answer. */
function put(group, name, headers) {
  const where = { socketPath: group.member(name).socket, path: '/v1/kv/key', timeoutMs: ANSWER_MS };
  return request({ ...where, method: 'PUT', headers, body: '{"value":1}' }).then(
    ({ status }) => status,
    () => 'no answer',
  );
}

/** What those were told who asked the member after its start for what cannot be. */
async function round(scene, group, wait) {
  const { leader } = (await group.stale(NAMES[0])).cluster;
  const [restarted, paused] = NAMES.filter((name) => name !== leader);
  await scene.processes.kill(restarted).exit; // its numbers are low again
  await group.start(restarted);
  scene.processes.signal(paused, 'SIGSTOP'); // no majority without the one that is killed
  const before = Array.from({ length: BEFORE }, () => put(group, restarted, {}));
  await sleep(wait);
  await scene.processes.kill(restarted).exit;
  group.launch(restarted);
  const after = [];
  for (const end = performance.now() + ASKING_MS; performance.now() < end; ) {
    for (let i = 0; i < 4; i += 1) after.push(put(group, restarted, { 'if-match': NEVER }));
    await sleep(ASK_EVERY_MS);
  }
  scene.processes.signal(paused, 'SIGCONT');
  await Promise.all(before);
  const told = await Promise.all(after);
  await group.ready(...NAMES);
  return told;
}

test('a late answer to what a member asked before its start is told to nobody', { timeout: 90000 }, () =>
  Scene.play(async (scene) => {
    const group = await SmallGroup.make(scene, { spec: 'version: 1\n' });
    await group.start(...NAMES);
    const told = [];
    for (let i = 0; i < ROUNDS; i += 1) told.push(...(await round(scene, group, 3 + 2 * i)));
    assert.ok(told.filter((status) => status === 412).length > 100, 'most were refused as they must be');
    assert.deepStrictEqual(told.filter((status) => status === 200), []);
  }),
);
