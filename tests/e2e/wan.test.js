// Members at three sites, as far from each other as the test says: what `fettle members` tells of
// round trips and of a commit is what writes then take, and the timeouts fit the way that is measured.
'use strict';

const assert = require('node:assert');
const { test } = require('node:test');
const { request } = require('../../trial/lib/http.js');
const { Scene } = require('./support/scene.js');
const { SmallGroup, NAMES } = require('./support/small_group.js');
const { Wan } = require('./support/wan.js');

const skip = process.getuid() === 0 ? false : 'needs root: it makes network namespaces';
const SPEC = 'version: 1\n';
const NEAR_MS = 20; // m1 to m2
const FAR_MS = 90; // m1 to m3
const MIDDLE_MS = 70; // m2 to m3
const ROUND_TRIPS = [[1, 2, NEAR_MS], [1, 3, FAR_MS], [2, 3, MIDDLE_MS]];
const MEASURED_MS = 20000;
const WRITES = 25;
/** What two loops, two disks and a busy machine may add. */
const SLACK_MS = 15;

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const between = (value, low, high, what) =>
  assert.ok(value >= low && value <= high, `${what}: ${value}, not ${low} to ${high}`);

async function startGroup(scene) {
  const wan = await Wan.make(scene, NAMES.length, ROUND_TRIPS);
  const hosts = Object.fromEntries(NAMES.map((name, i) => [name, wan.hosts[i]]));
  const group = await SmallGroup.make(scene, { spec: SPEC, hosts });
  await group.start(...NAMES);
  await group.until('writes are possible', MEASURED_MS, 'm1', '/v1/status', (one) => one.cluster?.level === 2);
  return { wan, group };
}

/** `leader` leads, and everybody's round trips are known. */
async function ledBy(group, leader) {
  const { leader: now } = await group.get('m1', '/v1/members');
  if (now !== leader) await group.fettle('m1', 'member', 'transfer', leader);
  return group.until(`${leader} leads`, MEASURED_MS, leader, '/v1/members', (said) =>
    said.leader === leader && said.quorum_rtt_ms !== null &&
    said.members.every((one) => one.name === leader || one.rtt_ms !== null));
}

async function writeTimes(group, name) {
  const { socket } = group.member(name);
  const times = [];
  for (let i = 0; i < WRITES; i += 1) {
    const began = performance.now();
    const { status } = await request({
      socketPath: socket, method: 'PUT', path: '/v1/kv/wan', body: JSON.stringify({ value: i }),
      timeoutMs: 10000,
    });
    assert.strictEqual(status, 200);
    times.push(performance.now() - began);
  }
  return times;
}

const rtt = (said, name) => said.members.find((one) => one.name === name).rtt_ms;

test('what is shown of round trips is what a commit then takes, whoever leads', { timeout: 120000, skip }, () =>
  Scene.play(async (scene) => {
    const { group } = await startGroup(scene);
    const expected = { m1: NEAR_MS, m2: NEAR_MS, m3: MIDDLE_MS };
    for (const leader of ['m1', 'm3', 'm2']) {
      const said = await ledBy(group, leader);
      between(said.quorum_rtt_ms, expected[leader], expected[leader] + SLACK_MS, `${leader} shows`);
      const took = median(await writeTimes(group, leader));
      const shown = (await group.get(leader, '/v1/members')).quorum_rtt_ms;
      between(took, shown * 0.9, shown + SLACK_MS, `a write takes, while ${leader} shows ${shown}`);

      const other = leader === 'm1' ? 'm3' : 'm1';
      const heard = await group.get(other, '/v1/members');
      between(heard.quorum_rtt_ms, expected[leader], expected[leader] + SLACK_MS, `${other} passes on`);
      between(rtt(heard, other === 'm1' ? 'm3' : 'm1'), FAR_MS, FAR_MS + SLACK_MS, `${other} measures`);
    }
    const table = await group.fettle('m3', 'members');
    assert.match(table, /a commit waits \d+\.\d\d ms for a majority, as m2 measures it/);
  }),
);

test('timeouts follow the way that is measured, and a dead leader is followed in one election',
  { timeout: 120000, skip },
  () =>
    Scene.play(async (scene) => {
      const { wan, group } = await startGroup(scene);
      for (const name of NAMES) {
        await group.until(`${name} has measured`, MEASURED_MS, name, '/v1/members', (said) =>
          said.timing.election_timeout_ms >= 10 * MIDDLE_MS);
      }
      const { timing } = await group.get('m3', '/v1/members');
      assert.strictEqual(timing.from, 'measured');
      assert.strictEqual(timing.heartbeat_ms, 60);
      between(timing.election_timeout_ms, 10 * FAR_MS, 2000, 'ten round trips to the farthest');

      await wan.change(ROUND_TRIPS.map(([a, b, ms]) => [a, b, 2 * ms]));
      const before = (await group.get('m1', '/v1/status')).cluster;
      const longer = await group.until('it has grown', MEASURED_MS, 'm1', '/v1/members', (said) =>
        said.timing.election_timeout_ms >= 20 * FAR_MS);
      assert.ok(longer.timing.election_timeout_ms <= 3200, JSON.stringify(longer.timing));
      const after = (await group.get('m1', '/v1/status')).cluster;
      assert.deepStrictEqual([after.leader, after.term], [before.leader, before.term]);

      const others = NAMES.filter((name) => name !== after.leader);
      for (const name of others) {
        await group.until(`${name} has measured, too`, MEASURED_MS, name, '/v1/members', (said) =>
          said.timing.election_timeout_ms >= 20 * MIDDLE_MS);
      }
      await scene.processes.kill(after.leader, 'SIGKILL').exit;
      const next = await group.until('another leads', MEASURED_MS, others[0], '/v1/status', (said) =>
        said.cluster?.leader && said.cluster.leader !== after.leader);
      assert.strictEqual(next.cluster.term, after.term + 1, 'evidence, well staggered: one election');
      await writeTimes(group, others[0]);
      const settled = (await group.get(others[0], '/v1/status')).cluster;
      assert.strictEqual(settled.term, after.term + 1, 'nobody deposes it');
    }),
);
