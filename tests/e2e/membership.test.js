// Members begin a group, and come and go while it lives: a fourth one joins and votes, the leader itself is
// removed, a member whose disk was lost comes back only as a new one, and when all but one are lost
// for good, that one goes on alone under a new generation.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { runToEnd } = require('../../trial/lib/processes.js');
const { Scene, freePort } = require('./support/scene.js');
const { SmallGroup, NAMES } = require('./support/small_group.js');
const { FETTLED } = require('./support/standalone.js');
const { startNodes, serviceYaml } = require('./support/light.js');

const SETTLED_MS = 20000;
const NEWCOMER = 'm4';

async function startGroup(scene) {
  const nodes = await startNodes(scene, ['chat-a', 'chat-b']);
  const spec = `version: 1\nservices:\n${serviceYaml('chat', nodes)}`;
  const group = await SmallGroup.make(scene, { spec, certified: [NEWCOMER] });
  await group.start(...NAMES);
  await group.untilHealthy();
  return { group, nodes };
}

/** A member that the file of the first voters does not name; it knows them as contacts. */
async function addNewcomer(scene, group) {
  const one = {
    name: NEWCOMER,
    address: '127.0.0.1',
    run: [],
    clusterPort: await freePort(),
    apiPort: await freePort(),
    socket: path.join(scene.folder, `${NEWCOMER}.sock`),
    allow: [],
  };
  one.file = group.writeFile(one);
  group.members.push(one);
  return one;
}

const names = (status) => status.cluster.members.map((one) => one.name).sort();
const roleOf = (status, name) => status.cluster?.members.find((one) => one.name === name)?.role;

test('founders that are killed as they found begin all the same, and the third is sent the log when it comes',
  { timeout: 120000 },
  () =>
    Scene.play(async (scene) => {
      const nodes = await startNodes(scene, ['chat-a', 'chat-b']);
      const group = await SmallGroup.make(scene, {
        spec: `version: 1\nservices:\n${serviceYaml('chat', nodes)}`,
      });
      group.launch('m1');
      group.launch('m2');
      await group.untilLogged('m1', /group\.founded: 2 of 3 members are here/, SETTLED_MS);
      for (const name of ['m1', 'm2']) await scene.processes.kill(name, 'SIGKILL').exit;
      await group.start('m1', 'm2');
      await group.start('m3');
      await scene.processes.kill('m1', 'SIGKILL').exit;
      const { cluster } = await group.until('the two others go on', SETTLED_MS, 'm2', '/v1/status', (one) =>
        one.cluster?.leader && one.cluster.leader !== 'm1');
      assert.deepStrictEqual(cluster.members.map((one) => one.name), NAMES);
    }),
);

test('a fourth member joins, votes, and takes the place of the leader that is removed', { timeout: 120000 }, () =>
  Scene.play(async (scene) => {
    const { group } = await startGroup(scene);
    const newcomer = await addNewcomer(scene, group);
    scene.processes.start(NEWCOMER, FETTLED, ['--config', newcomer.file]);
    await group.untilLogged('m1', /link\.refused peer=m4: m4 is not a member/, SETTLED_MS);
    await group.untilLogged(NEWCOMER, /link\.refused_by peer=m1: m4 is not a member/, SETTLED_MS);

    const said = await group.fettle(
      'm2', 'member', 'add', NEWCOMER, '--address', `127.0.0.1:${newcomer.clusterPort}`,
    );
    assert.match(said, /m4 is a voter/);
    const status = await group.until('it serves reads', SETTLED_MS, NEWCOMER, '/v1/status', (one) =>
      one.services?.length > 0,
    );
    assert.deepStrictEqual(names(status), ['m1', 'm2', 'm3', 'm4']);
    assert.strictEqual(roleOf(status, NEWCOMER), 'voter');
    const incarnations = await group.until('it says who it is', SETTLED_MS, NEWCOMER, '/v1/members',
      (one) => one.members?.every((member) => member.version));
    assert.strictEqual(incarnations.members.length, 4);

    const { leader } = status.cluster;
    const other = NAMES.find((name) => name !== leader);
    await group.fettle(other, 'member', 'remove', leader);
    const after = await group.until('another leads, and the old one is gone', SETTLED_MS, other, '/v1/status',
      (one) => one.cluster?.leader && one.cluster.leader !== leader && !names(one).includes(leader));
    assert.strictEqual(after.services[0].verdict, 'healthy');
    assert.strictEqual(after.open_incidents, 0);
    await group.untilLogged(leader, /member\.removed/, SETTLED_MS);
    const alone = await group.stale(leader);
    assert.ok(alone.cluster && alone.notes?.some((note) => /removed/.test(note)), JSON.stringify(alone.notes));
  }),
);

test('the leadership is handed over on request, and by a leader that is told to stop', { timeout: 120000 }, () =>
  Scene.play(async (scene) => {
    const { group } = await startGroup(scene);
    const { leader, term } = (await group.get('m1', '/v1/status')).cluster;
    const heir = NAMES.find((name) => name !== leader);
    await group.fettle('m1', 'member', 'transfer', heir);
    const now = (await group.until('the heir leads', SETTLED_MS, heir, '/v1/status', (one) =>
      one.cluster?.leader === heir)).cluster;
    assert.strictEqual(now.term, term + 1, 'one election, at once');

    const third = NAMES.find((name) => name !== leader && name !== heir);
    const one = scene.processes.kill(heir, 'SIGTERM');
    await one.exit;
    assert.match(group.log(heir), /leader\.hands_over/);
    const last = (await group.until('another leads', SETTLED_MS, third, '/v1/status', (said) =>
      said.cluster?.leader && said.cluster.leader !== heir)).cluster;
    assert.strictEqual(last.term, term + 2, 'one election again');
  }),
);

test('a member whose data are lost is refused under its old name until it is removed and added again',
  { timeout: 120000 },
  () =>
    Scene.play(async (scene) => {
      const { group } = await startGroup(scene);
      const { leader } = (await group.get('m1', '/v1/status')).cluster;
      const wiped = NAMES.find((name) => name !== leader);
      await scene.processes.kill(wiped, 'SIGKILL').exit;
      fs.rmSync(path.join(scene.folder, 'data', wiped), { recursive: true });
      const { file, clusterPort } = group.member(wiped);
      scene.processes.start(wiped, FETTLED, ['--config', file]);
      await group.untilLogged(wiped, /refused_by.*another incarnation/, SETTLED_MS);
      const status = await group.until('it is unreachable to the others', SETTLED_MS, leader, '/v1/status',
        (one) => one.cluster.members.find((member) => member.name === wiped).state === 'unreachable');
      assert.strictEqual(status.cluster.members.length, 3);

      await group.fettle(leader, 'member', 'remove', wiped);
      await assert.rejects(group.fettle(leader, 'member', 'remove', wiped), /is not a member/);
      const said = await group.fettle(leader, 'member', 'add', wiped, '--address', `127.0.0.1:${clusterPort}`);
      assert.match(said, new RegExp(`${wiped} is a voter`));
      await group.until('it serves reads', SETTLED_MS, wiped, '/v1/status', (one) => one.services?.length > 0);
    }),
);

test('a member that was away follows a leader it never heard of, and one that was added anew meanwhile',
  { timeout: 120000 },
  () =>
    Scene.play(async (scene) => {
      const { group } = await startGroup(scene);
      const { leader } = (await group.get('m1', '/v1/status')).cluster;
      const [anew, away] = NAMES.filter((name) => name !== leader);
      const add = (name) =>
        group.fettle(leader, 'member', 'add', name, '--address', `127.0.0.1:${group.member(name).clusterPort}`);
      const leads = async (name) => {
        await group.fettle(leader, 'member', 'transfer', name);
        await group.until(`${name} leads`, SETTLED_MS, leader, '/v1/status', (one) => one.cluster?.leader === name);
      };
      await scene.processes.kill(away, 'SIGKILL').exit;
      const newcomer = await addNewcomer(scene, group);
      scene.processes.start(NEWCOMER, FETTLED, ['--config', newcomer.file]);
      assert.match(await add(NEWCOMER), /m4 is a voter/);
      await group.fettle(leader, 'member', 'remove', anew);
      await scene.processes.kill(anew, 'SIGKILL').exit;
      fs.rmSync(path.join(scene.folder, 'data', anew), { recursive: true });
      scene.processes.start(anew, FETTLED, ['--config', group.member(anew).file]);
      assert.match(await add(anew), /is a voter/);

      await leads(anew);
      await group.start(away);
      await scene.processes.kill(away, 'SIGKILL').exit;
      await group.fettle(leader, 'kv', 'put', 'meanwhile', '1');
      await leads(NEWCOMER);
      await group.start(away);
      assert.match(await group.fettle(away, 'kv', 'get', 'meanwhile'), /1/);
      const status = await group.get(away, '/v1/status');
      assert.deepStrictEqual([status.cluster.leader, names(status)], [NEWCOMER, [...NAMES, NEWCOMER]]);
    }),
);

test('a learner is a member as soon as it is added, and a voter only when it is promoted', { timeout: 120000 }, () =>
  Scene.play(async (scene) => {
    const { group } = await startGroup(scene);
    const newcomer = await addNewcomer(scene, group);
    const add = ['member', 'add', NEWCOMER, '--address', `127.0.0.1:${newcomer.clusterPort}`];
    assert.match(await group.fettle('m1', ...add, '--role', 'learner'), /m4 is added: a learner/);
    assert.match(await group.fettle('m1', ...add, '--role', 'learner'), /m4 is a member already/);
    await assert.rejects(group.fettle('m1', ...add), /as a learner: fettle member promote m4/);
    await assert.rejects(group.fettle('m1', 'member', 'promote', NEWCOMER), /m4 holds nothing of the log yet/);

    scene.processes.start(NEWCOMER, FETTLED, ['--config', newcomer.file]);
    await group.ready(NEWCOMER);
    assert.match(await group.fettle('m1', 'member', 'promote', NEWCOMER), /m4 is a voter/);
    const status = await group.get('m1', '/v1/status');
    assert.strictEqual(roleOf(status, NEWCOMER), 'voter');
  }),
);

test('all but one are lost for good: the survivor goes on alone, under a generation that the others are not heard in',
  { timeout: 120000 },
  () =>
    Scene.play(async (scene) => {
      const { group } = await startGroup(scene);
      await group.fettle('m1', 'kv', 'put', 'kept', '"before"');
      const file = path.join(scene.folder, 'saved');
      await group.fettle('m2', 'snapshot', 'save', file);
      const inspected = JSON.parse(await group.fettle('m2', 'snapshot', 'inspect', file, '--output', 'json'));
      assert.strictEqual(inspected.cluster, 'test');
      assert.deepStrictEqual(inspected.members, NAMES);
      assert.strictEqual(inspected.keys, 1);

      for (const name of NAMES) await scene.processes.kill(name, 'SIGKILL').exit;
      const { file: config } = group.member('m1');
      await assert.rejects(
        runToEnd(FETTLED, ['--config', config, '--recover-alone', 'another']),
        /nothing is changed/,
      );
      const said = await runToEnd(FETTLED, ['--config', config, '--recover-alone', 'test']);
      assert.match(said, /alone, as generation 2/);
      await group.start('m1');
      const status = await group.get('m1', '/v1/status');
      assert.strictEqual(status.cluster.generation, 2);
      assert.deepStrictEqual(names(status), ['m1']);
      assert.match(await group.fettle('m1', 'kv', 'get', 'kept'), /before/);

      scene.processes.start('m2', FETTLED, ['--config', group.member('m2').file]);
      await group.untilLogged('m2', /link\.refused(_by)? peer=m1: /, SETTLED_MS);
      await scene.processes.kill('m2', 'SIGKILL').exit;

      fs.rmSync(path.join(scene.folder, 'data', 'm2'), { recursive: true });
      scene.processes.start('m2', FETTLED, ['--config', group.member('m2').file]);
      const added = await group.fettle(
        'm1', 'member', 'add', 'm2', '--address', `127.0.0.1:${group.member('m2').clusterPort}`,
      );
      assert.match(added, /m2 is a voter/);
      await group.until('it serves reads', SETTLED_MS, 'm2', '/v1/status', (one) =>
        one.cluster?.generation === 2 && one.services?.length > 0);

      const restored = group.member('m3');
      fs.rmSync(path.join(scene.folder, 'data', 'm3'), { recursive: true });
      await runToEnd(FETTLED, ['--config', restored.file, '--recover-alone', 'test', '--from', file]);
      await group.start('m3');
      const alone = await group.get('m3', '/v1/status');
      assert.deepStrictEqual(names(alone), ['m3']);
      assert.match(await group.fettle('m3', 'kv', 'get', 'kept'), /before/);

      await scene.processes.kill('m3', 'SIGKILL').exit;
      const data = path.join(scene.folder, 'data', 'm3');
      for (const one of fs.readdirSync(data)) {
        if (one.startsWith('group.db')) fs.rmSync(path.join(data, one));
      }
      const again = await runToEnd(FETTLED, ['--config', restored.file, '--recover-alone', 'test', '--from', file]);
      assert.match(again, /alone, as generation 3/, 'its host has acted for generation 2 already');
    }),
);
