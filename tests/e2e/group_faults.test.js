// A leader that is told to stop, and a service whose nodes all die at once.
'use strict';

const assert = require('node:assert');
const { test } = require('node:test');
const { Receiver } = require('../../trial/lib/receiver.js');
const { HaproxyWatch } = require('../../trial/lib/haproxy_watch.js');
const { haproxyConfig, startHaproxy } = require('../../trial/lib/haproxy.js');
const { Scene, freePort } = require('./support/scene.js');
const { SmallGroup, NAMES } = require('./support/small_group.js');
const { startNodes, serviceYaml } = require('./support/light.js');

const LEADS_MS = 15000;
const DECIDED_MS = 15000;
const QUIET_MS = 3000;

/** Light nodes behind a real HAProxy, a receiver and three members; m1 owns HAProxy. */
async function startGroup(scene, names, probes) {
  const nodes = await startNodes(scene, names);
  const haproxy = haproxyConfig(scene.folder, await freePort(), nodes);
  await startHaproxy(scene.processes, haproxy);
  const watch = new HaproxyWatch(scene.bus, haproxy.watchSocket, haproxy.backend);
  scene.atEnd(() => watch.close());
  await watch.open();
  const receiver = new Receiver(scene.bus);
  const port = await freePort();
  await receiver.listen(port);
  scene.atEnd(() => receiver.close());
  const traffic = `    traffic: {kind: haproxy, hosts: [m1], socket: ${haproxy.socket}, backend: ${haproxy.backend}}\n`;
  const group = await SmallGroup.make(scene, {
    spec: `version: 1
services:
${serviceYaml('chat', nodes, traffic).replace(/ {4}probes: .*\n/, (standard) => probes || standard)}\
receivers: [{name: oncall, kind: webhook, url: "http://127.0.0.1:${port}/"}]
route: {receiver: oncall}
`,
    allow: { m1: [haproxy.socket] },
  });
  await group.start(...NAMES);
  await group.untilHealthy();
  return { group, nodes, watch, receiver };
}

test('SIGTERM of the leader: exit code 0, another leads, nobody is alarmed', { timeout: 120000 }, () =>
  Scene.play(async (scene) => {
    const { group, watch, receiver } = await startGroup(scene, ['chat-a', 'chat-b']);
    const { leader, term } = (await group.get('m1', '/v1/status')).cluster;
    const changes = watch.changes.length;
    const one = scene.processes.kill(leader, 'SIGTERM');
    await one.exit;
    assert.strictEqual(one.how, 'exit code 0');
    assert.match(group.log(leader), /fettled ended/);

    const other = NAMES.find((name) => name !== leader);
    const { cluster } = await group.until('another leads', LEADS_MS, other, '/v1/status', (status) =>
      status.cluster?.leader && status.cluster.leader !== leader && status.cluster.term > term,
    );
    const lines = (await group.fettle(other, 'events', '--output', 'json')).trimEnd().split('\n');
    const changed = lines.map((line) => JSON.parse(line)).filter((one) => one.kind === 'leader.changed');
    assert.strictEqual(changed.at(-2).value, leader);
    assert.strictEqual(changed.at(-1).value, cluster.leader);
    assert.strictEqual(changed.at(-1).reason, `term ${cluster.term}`);
    const stream = await group.fettle(other, 'events', '--output', 'yaml');
    assert.strictEqual(stream.match(/^---\nid: /gm).length, lines.length, 'a document for each');
    await scene.bus.pass(QUIET_MS);
    const status = await group.get(other, '/v1/status');
    assert.strictEqual(status.services[0].verdict, 'healthy');
    // A member that stays away is lost after a while, which is told; no node is anybody's incident.
    const { incidents } = await group.get(other, '/v1/incidents');
    assert.deepStrictEqual(incidents.filter((one) => one.service !== 'fettle'), []);
    const lost = new RegExp(`member ${leader} is lost`);
    assert.deepStrictEqual(receiver.deliveries.filter((one) => !lost.test(one.text)), []);
    assert.strictEqual(watch.changes.length, changes, 'no node was touched');

    await group.start(leader);
    await group.until('it is back', LEADS_MS, leader, '/v1/status', (said) =>
      said.cluster?.members.every((member) => member.state !== 'unreachable'),
    );
  }),
);

test('all nodes die at once: the last one stays in service, each death is told once, with what holds it',
  { timeout: 120000 },
  () =>
    Scene.play(async (scene) => {
      const { group, nodes, watch, receiver } = await startGroup(scene, ['chat-a', 'chat-b']);
      const killed = performance.now();
      await Promise.all(nodes.map((node) => node.stop()));
      await group.until('both are down', DECIDED_MS, 'm1', '/v1/status', (status) =>
        status.services?.[0].nodes.every((node) => node.verdict === 'down'),
      );
      await scene.bus.until('one is in maintenance', DECIDED_MS, () =>
        watch.changes.some((one) => one.state === 'maint' && one.at >= killed),
      );
      await scene.bus.until('both deaths are told', DECIDED_MS, () => receiver.deliveries.length >= 2);
      await scene.bus.pass(QUIET_MS);
      const out = watch.changes.filter((one) => one.state === 'maint' && one.at >= killed);
      assert.strictEqual(out.length, 1, 'the last node in service stays');
      const last = nodes.find((node) => node.name !== out[0].server);
      const status = await group.get('m1', '/v1/status');
      assert.strictEqual(
        status.services[0].nodes.find((node) => node.name === last.name).admin,
        'in_service',
      );
      assert.strictEqual(receiver.deliveries.length, 2, 'one alert for each incident, no storm');
      assert.strictEqual(receiver.duplicates(), 0);
      const told = receiver.deliveries.filter((one) => /last_node/.test(one.text));
      assert.strictEqual(told.length, 1, JSON.stringify(receiver.deliveries.map((one) => one.text)));
      assert.match(told[0].text, new RegExp(`^${last.name} is down`));

      await Promise.all(nodes.map((node) => node.start()));
      await group.until('all is resolved', 60000, 'm1', '/v1/status', (said) =>
        said.open_incidents === 0 && said.services[0].nodes.every((node) => node.admin === 'in_service'),
      );
    }),
);

test('all nodes hang at once: whatever comes after the first is held, and one alert says so (panic)', { timeout: 120000 }, () =>
  Scene.play(async (scene) => {
    const probes =
      '    probes: [{name: live, kind: http, interval: 100ms, timeout: 300ms, fall: 2, rise: 1}]\n';
    const { group, nodes, watch, receiver } = await startGroup(scene, ['chat-a', 'chat-b', 'chat-c'], probes);
    const changes = watch.changes.length;
    for (const node of nodes) {
      node.server.removeAllListeners('request');
      node.server.on('request', () => {});
    }
    await group.until('all are down', DECIDED_MS, 'm1', '/v1/status', (status) =>
      status.services?.[0].nodes.every((node) => node.verdict === 'down'),
    );
    await scene.bus.until('the panic is told', DECIDED_MS, () =>
      receiver.deliveries.some((one) => /panic/.test(one.text)),
    );
    await scene.bus.pass(QUIET_MS);
    const panics = receiver.deliveries.filter((one) => /panic/.test(one.text));
    assert.strictEqual(panics.length, 1);
    const texts = receiver.deliveries.map((one) => one.text);
    assert.ok(texts.length <= 2, `the first node's own alert and the panic: ${texts.join('; ')}`);
    const status = await group.get('m1', '/v1/status');
    const out = status.services[0].nodes.filter((node) => node.admin !== 'in_service');
    assert.ok(out.length <= 1, 'only the first was isolated before more than half was down');
    assert.ok(watch.changes.length - changes <= 1);
  }),
);
