// Locks and live members of a real group: one command at a time under a lock, whoever leads; a lock
// whose holder is killed is free again; a member that is killed is lost by commit, and then back.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { Scene } = require('./support/scene.js');
const { Group, NAMES } = require('./support/group.js');
const { FETTLE } = require('./support/standalone.js');

const ANSWER_MS = 8000;
const CHANGE_MS = 20000;
const TTL_S = 2;

/** A shell command that writes down when it began and ended, and its token. */
const diary = (file, seconds) =>
  `echo "begin $FETTLE_LEASE_TOKEN" >> ${file}; sleep ${seconds}; ` +
  `echo "end $FETTLE_LEASE_TOKEN" >> ${file}`;

const lock = (group, name, command, wait = 60) =>
  group.fettle(name, 'kv', 'lock', 'nightly', '--ttl', `${TTL_S}`, '--wait', `${wait}`, '--',
    'sh', '-c', command);

test('commands under a lock run one at a time, also over a change of the leader',
  { timeout: 200000 },
  () =>
    Scene.play(async (scene) => {
      const group = await Group.start(scene);
      await group.untilRaised('m1', ANSWER_MS);
      const leader = await group.leaderBy('m1');
      const followers = NAMES.filter((name) => name !== leader);
      const file = path.join(group.folder, 'diary');

      const first = lock(group, followers[0], diary(file, 4));
      const others = [0, 1, 2].map((i) => lock(group, followers[i % 2], diary(file, 0.3)));
      await group.untilGet(followers[0], '/v1/leases', ANSWER_MS, ({ leases }) => leases?.length);
      await assert.rejects(lock(group, followers[1], 'true', 0), /exit 4\n/);
      await group.kill(leader);
      await Promise.all([first, ...others]);

      const lines = fs.readFileSync(file, 'utf8').trim().split('\n');
      assert.strictEqual(lines.length, 8);
      const tokens = [];
      for (let i = 0; i < lines.length; i += 2) {
        const token = lines[i].replace('begin ', '');
        assert.strictEqual(lines[i + 1], `end ${token}`, lines.join('\n'));
        tokens.push(Number(token));
      }
      assert.deepStrictEqual(tokens, [...tokens].sort((a, b) => a - b), 'tokens grow');
      await assert.rejects(lock(group, followers[0], 'exit 7'), /exit 7\n/);
      assert.deepStrictEqual((await group.get(followers[0], '/v1/leases')).leases, []);
    }),
);

test('a grant asked again under its key is of now, not what was answered then',
  { timeout: 200000 },
  () =>
    Scene.play(async (scene) => {
      const group = await Group.start(scene);
      await group.untilRaised('m1', ANSWER_MS);
      const grant = (holder, key) =>
        group.local('m2', 'POST', '/v1/leases/nightly/grant', {
          headers: { 'idempotency-key': key },
          body: JSON.stringify({ holder, duration: '1s' }),
        });
      const first = await grant('a', 'once');
      assert.strictEqual(first.status, 200, first.body);
      const again = await grant('a', 'once');
      assert.strictEqual(JSON.parse(again.body).token, JSON.parse(first.body).token);
      const end = performance.now() + ANSWER_MS;
      for (let tries = 1; (await grant('b', `b-${tries}`)).status !== 200; tries += 1) {
        assert.ok(performance.now() < end, 'it never was free');
      }
      const late = await grant('a', 'once');
      assert.strictEqual(late.status, 409, late.body);
      assert.match(late.body, /held by b/);
    }),
);

test('without a leader a command ends before its lock could be another one\'s',
  { timeout: 200000 },
  () =>
    Scene.play(async (scene) => {
      const group = await Group.start(scene);
      await group.untilRaised('m1', ANSWER_MS);
      const began = performance.now();
      const held = lock(group, 'm1', 'sleep 60');
      await group.untilGet('m1', '/v1/leases', ANSWER_MS, ({ leases }) => leases?.length);
      await group.kill('m2', 'm3');
      await assert.rejects(held, /exit 1\n/);
      assert.ok(performance.now() - began < 15000);
    }),
);

/** How the holder of a lock goes, though its command would go on. */
const GOES = {
  'is killed': (scene) => scene.processes.kill('holder'),
  'stands still': (scene) => scene.processes.signal('holder', 'SIGSTOP'),
};

for (const [how, goes] of Object.entries(GOES)) {
  test(`the holder of a lock ${how}: its command and what that began end before another has the lock`,
    { timeout: 200000 },
    () =>
      Scene.play(async (scene) => {
        const group = await Group.start(scene);
        await group.untilRaised('m1', ANSWER_MS);
        const file = path.join(group.folder, 'works');
        scene.processes.start('holder', FETTLE, [
          '--socket', group.member('m1').socket, 'kv', 'lock', 'nightly', '--ttl', `${TTL_S}`, '--',
          'sh', '-c', `(while :; do echo works >> ${file}; sleep 0.05; done); true`,
        ]);
        const end = performance.now() + ANSWER_MS;
        while (!fs.existsSync(file)) {
          assert.ok(performance.now() < end, 'the command never began');
          await scene.bus.pass(50);
        }
        goes(scene);
        await lock(group, 'm2', `stat -c %s ${file} > ${file}.then`);
        await scene.bus.pass(500);
        const then = Number(fs.readFileSync(`${file}.then`, 'utf8'));
        assert.strictEqual(fs.statSync(file).size, then, 'it writes no more');
        if (how === 'stands still') scene.processes.kill('holder');
      }),
  );
}

test('a member that is killed is lost by commit, observes no more, and is back once it returns',
  { timeout: 200000 },
  () =>
    Scene.play(async (scene) => {
      const group = await Group.start(scene);
      await group.untilHealthy('m1');
      const leader = await group.leaderBy('m1');
      const [asked, gone] = NAMES.filter((name) => name !== leader);
      const observers = async () => (await group.get(asked, '/v1/nodes/chat-a')).observers;
      assert.strictEqual((await observers()).length, 3);

      await group.kill(gone);
      const lost = (said) => said.members?.some(({ name, lost_since }) => name === gone && lost_since);
      await group.untilGet(asked, '/v1/members', CHANGE_MS, lost);
      assert.deepStrictEqual((await observers()).includes(gone), false);
      const node = await group.get(asked, '/v1/nodes/chat-a');
      assert.strictEqual(node.verdict, 'healthy');
      assert.strictEqual(node.stale, false);
      const { incidents } = await group.get(asked, '/v1/incidents');
      const [incident] = incidents.filter(({ service }) => service === 'fettle');
      assert.match(incident.reason, new RegExp(`member ${gone} is lost`));

      await group.startMembers(gone);
      await group.untilGet(asked, '/v1/members', CHANGE_MS, (said) => said.members && !lost(said));
      assert.strictEqual((await observers()).length, 3);
      const after = await group.get(asked, `/v1/incidents/${incident.id}`);
      assert.ok(after.resolved_at);
    }),
);
