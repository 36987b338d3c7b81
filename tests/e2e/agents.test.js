// Members without a log: they join by their certificates, watch nodes, steer the HAProxy of their
// host, keep their links when the leader changes, pick another voter when one dies, and when one of
// them dies its nodes get other observers.
'use strict';

const assert = require('node:assert');
const path = require('node:path');
const { test } = require('node:test');
const { haproxyConfig, startHaproxy } = require('../../trial/lib/haproxy.js');
const { request } = require('../../trial/lib/http.js');
const { Scene, freePort } = require('./support/scene.js');
const { SmallGroup, NAMES } = require('./support/small_group.js');
const { startNodes, serviceYaml } = require('./support/light.js');

const SETTLED_MS = 30000;
const AGENTS = ['a1', 'a2'];
/** One voter and both agents watch each node: a quorum needs an agent. */
const ZONES = { m1: 'v', m2: 'v', m3: 'v', a1: 'x', a2: 'y' };

/** The sum of a metric's samples at one member. */
async function metric(group, name, family) {
  const { body } = await request({ port: group.member(name).apiPort, path: '/metrics' });
  const values = [...body.matchAll(new RegExp(`^${family}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))];
  assert.ok(values.length > 0, `${name} has no ${family}`);
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}

const handshakes = (group, name) => metric(group, name, 'fettle_agent_handshakes_total');
const linked = async (group, name) => {
  const { body } = await request({ port: group.member(name).apiPort, path: '/metrics' });
  return [...body.matchAll(/^fettle_peer_up\{peer="(\w+)"\} 1$/gm)].map(([, peer]) => peer).sort();
};

async function until(what, timeoutMs, look) {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const said = await look();
    if (said) return said;
    if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const withTwoLinks = (group, name) =>
  until(`${name} has two links`, SETTLED_MS, async () => {
    const voters = await linked(group, name);
    return voters.length === 2 && voters;
  });

const agentsOf = (said) =>
  (said.members || []).filter(({ role }) => role === 'agent').map(({ name, state }) => `${name} ${state}`);

async function startGroup(scene) {
  const nodes = await startNodes(scene, ['chat-a', 'chat-b']);
  const haproxy = haproxyConfig(scene.folder, await freePort(), nodes);
  await startHaproxy(scene.processes, haproxy);
  const traffic = `    observers: 3
    traffic: {kind: haproxy, hosts: [a1], socket: ${haproxy.socket}, backend: ${haproxy.backend}}\n`;
  const spec = `version: 1\nservices:\n${serviceYaml('chat', nodes, traffic)}`;
  const group = await SmallGroup.make(scene, {
    spec, agents: AGENTS, zones: ZONES, allow: { a1: [haproxy.socket] },
  });
  await group.start(...NAMES);
  await group.start(...AGENTS);
  await group.until('both agents are members', SETTLED_MS, 'm1', '/v1/members',
    (said) => agentsOf(said).join() === 'a1 live,a2 live');
  await group.untilHealthy(SETTLED_MS);
  return { group, nodes, haproxy };
}

/** What HAProxy gives `server` now. */
async function served(haproxy, server) {
  for (let i = 0; i < 4; ++i) {
    const answer = await request({ port: haproxy.port, path: '/' });
    if (answer.headers['x-server'] === server) return true;
  }
  return false;
}

test('agents watch, isolate at their director, and keep their links when the leader changes', { timeout: 180000 }, () =>
  Scene.play(async (scene) => {
    const { group, nodes, haproxy } = await startGroup(scene);
    for (const name of AGENTS) await withTwoLinks(group, name);
    const before = new Map();
    for (const name of AGENTS) before.set(name, await handshakes(group, name));

    const { cluster } = await group.get('m1', '/v1/status');
    const next = NAMES.find((name) => name !== cluster.leader);
    await group.fettle('a2', 'member', 'transfer', next);
    await group.until('another leads', SETTLED_MS, 'a1', '/v1/status', (said) => said.cluster?.leader === next);
    for (const name of AGENTS) {
      assert.strictEqual(await handshakes(group, name), before.get(name), `${name}'s links stay`);
    }

    // The leader dies: the links to the other two stay, and who had one to it picks the third.
    const had = new Map();
    for (const name of AGENTS) had.set(name, await linked(group, name));
    await scene.processes.kill(next).exit;
    const alive = NAMES.find((name) => name !== next);
    await nodes[0].stop();
    await group.until('it is isolated', SETTLED_MS, alive, '/v1/nodes/chat-a', (node) => node.admin === 'isolated');
    assert.strictEqual(await served(haproxy, 'chat-a'), false);
    for (const name of AGENTS) {
      await until(`${name} is linked to both who live`, SETTLED_MS, async () => {
        const now = await linked(group, name);
        return now.length === 2 && !now.includes(next);
      });
      const fresh = had.get(name).includes(next) ? 1 : 0;
      assert.strictEqual(await handshakes(group, name), before.get(name) + fresh, name);
    }
    const [run] = (await group.get('a1', '/v1/runs')).runs;
    assert.strictEqual(run.steps[0].tasks[0].host, 'a1');

    // What a client of an agent may do.
    assert.match(await group.fettle('a2', 'status'), /chat-a/);
    await group.fettle('a2', 'kv', 'put', 'x', '{"n":1}');
    assert.match(await group.fettle('a1', 'kv', 'get', 'x'), /"n":1/);
    const marker = path.join(scene.folder, 'held');
    await group.fettle('a1', 'kv', 'lock', 'vip', '--', 'touch', marker);
    assert.ok(require('node:fs').existsSync(marker), 'a lease is held by a client of an agent');
  }),
);

test('a dead agent is committed as lost, its nodes get other observers, and it comes back', { timeout: 180000 }, () =>
  Scene.play(async (scene) => {
    const { group, nodes } = await startGroup(scene);
    await scene.processes.kill('a2').exit;
    await group.until('it is lost', SETTLED_MS, 'm1', '/v1/members',
      (said) => agentsOf(said).join() === 'a1 live,a2 lost');
    // Of the three observers that each node has now, a1 and a voter suffice.
    await nodes[1].stop();
    const down = await group.until('it is down', SETTLED_MS, 'm1', '/v1/nodes/chat-b', (node) => node.verdict === 'down');
    assert.match(down.reason, /^[23] of 3 observers/);
    group.launch('a2');
    await group.until('it is back', SETTLED_MS, 'm1', '/v1/members',
      (said) => agentsOf(said).join() === 'a1 live,a2 live');

    // Its client, without any voter: what it read last, and its age.
    await group.ready('a2');
    await group.fettle('a2', 'status');
    for (const name of NAMES) await scene.processes.kill(name).exit;
    const stale = await until('no voter answers', SETTLED_MS, async () => {
      const said = await group.stale('a2');
      return said.notes?.some((note) => /no voter is reachable/.test(note)) && said;
    });
    assert.ok(stale.stale_ms > 0 && stale.services[0].name === 'chat');
  }),
);

test('an agent whose data are lost is refused until it is removed', { timeout: 120000 }, () =>
  Scene.play(async (scene) => {
    const { group } = await startGroup(scene);
    await scene.processes.kill('a2').exit;
    require('node:fs').rmSync(path.join(scene.folder, 'data', 'a2'), { recursive: true });
    group.launch('a2');
    await group.untilLogged('a2', /another incarnation of a2/, SETTLED_MS);
    await group.fettle('m1', 'member', 'remove', 'a2');
    await group.until('it joins as a new one', SETTLED_MS, 'm1', '/v1/members',
      (said) => agentsOf(said).join() === 'a1 live,a2 live');
    await group.ready('a2');
  }),
);
