// A member that is cut off: three members, each on a host of its own (a network namespace). The one
// that owns the director touches nothing while it is cut off, says so, and catches up afterwards;
// the other two go on deciding.
'use strict';

const assert = require('node:assert');
const path = require('node:path');
const { test } = require('node:test');
const { HaproxyWatch } = require('../../trial/lib/haproxy_watch.js');
const { haproxyConfig, startHaproxy } = require('../../trial/lib/haproxy.js');
const { untilAnswers } = require('../../trial/lib/http.js');
const { runToEnd } = require('../../trial/lib/processes.js');
const { Scene, READY_MS } = require('./support/scene.js');
const { SmallGroup, NAMES } = require('./support/small_group.js');

const NETNS = path.join(__dirname, 'support/netns.sh');
const LIGHT_NODE = path.join(__dirname, 'support/light_node.js');
const NODE_PORT = 8000;
const VERDICT_MS = 20000;
const HEALED_MS = 40000;
const QUIET_MS = 3000;
const CUT = 'm1';
const skip = process.getuid() === 0 ? false : 'needs root: it makes network namespaces';

const PROBES = '    probes: [{name: port, kind: tcp, interval: 200ms, timeout: 500ms, fall: 2, rise: 1}]\n';

const specText = (haproxy) => `version: 1
services:
  - name: chat
    nodes:
      - {name: chat-1, address: "10.77.0.1:${NODE_PORT}"}
      - {name: chat-2, address: "10.77.0.2:${NODE_PORT}"}
${PROBES}    traffic: {kind: haproxy, hosts: [${CUT}], socket: ${haproxy.socket}, backend: ${haproxy.backend}}
  - name: talk
    nodes: [{name: talk-3, address: "10.77.0.3:${NODE_PORT}"}]
${PROBES}playbooks:
  - name: out
    mode: enforce
    trigger: {verdict: down, services: [chat]}
    steps: [{id: switch, action: traffic.isolate, timeout: 2m}]
`;

/** Namespaces, a node in each, HAProxy beside the first, and the members. */
async function startHosts(scene) {
  const name = `fettle${process.pid}`;
  scene.atEnd(() => runToEnd(NETNS, ['down', name]));
  await runToEnd(NETNS, ['up', name, String(NAMES.length)]);
  const hosts = {};
  NAMES.forEach((member, i) => {
    const address = `10.77.0.${i + 1}`;
    const run = ['ip', 'netns', 'exec', `${name}-${i + 1}`];
    hosts[member] = { address, run, number: String(i + 1), node: `node-${i + 1}` };
  });
  const startNode = ({ address, run, node }) =>
    scene.processes.start(node, run[0], [
      ...run.slice(1), process.execPath, LIGHT_NODE, address, String(NODE_PORT),
    ]);
  for (const host of Object.values(hosts)) startNode(host);
  const servers = [{ name: 'chat-1', port: 1 }, { name: 'chat-2', port: 1 }];
  const haproxy = haproxyConfig(scene.folder, 8080, servers);
  haproxy.text = haproxy.text.replace(/(chat-(\d)) 127\.0\.0\.1:1/g, `$1 10.77.0.$2:${NODE_PORT}`);
  const inHost = { start: (one, command, args) => {
    const { run } = hosts[CUT];
    return scene.processes.start(one, run[0], [...run.slice(1), command, ...args]);
  } };
  await startHaproxy(inHost, haproxy);
  const watch = new HaproxyWatch(scene.bus, haproxy.watchSocket, haproxy.backend);
  scene.atEnd(() => watch.close());
  await watch.open();
  const group = await SmallGroup.make(scene, {
    spec: specText(haproxy),
    allow: { [CUT]: [haproxy.socket] },
    hosts,
  });
  await group.start(...NAMES);
  await group.untilHealthy();
  const net = (verb) => runToEnd(NETNS, [verb, name, hosts[CUT].number]);
  return { group, watch, hosts, net, startNode };
}

test('a member that is cut off touches nothing and says so; the others go on; it catches up',
  { timeout: 180000, skip },
  () =>
    Scene.play(async (scene) => {
      const { group, watch, hosts, net } = await startHosts(scene);
      const before = watch.changes.length;
      await net('cut');
      await group.until('the others lead', VERDICT_MS, 'm2', '/v1/status?consistency=stale', (said) =>
        ['m2', 'm3'].includes(said.cluster.leader),
      );
      await scene.processes.kill(hosts[CUT].node).exit;
      await scene.processes.kill(hosts.m3.node).exit;

      const verdict = (status, node) =>
        status.services?.flatMap((one) => one.nodes).find((one) => one.name === node)?.verdict;
      const decided = await group.until('talk-3 is down', VERDICT_MS, 'm2', '/v1/status', (status) =>
        verdict(status, 'talk-3') === 'down' && verdict(status, 'chat-1') === 'down',
      );
      assert.ok(decided.open_incidents >= 2, 'the two go on deciding');

      await scene.bus.pass(QUIET_MS);
      assert.strictEqual(watch.changes.length, before, 'its HAProxy is as it was');
      const alone = await group.until('it knows no leader', VERDICT_MS, CUT,
        '/v1/status?consistency=stale', (said) => said.cluster.leader === '' || said.cluster.leader === null);
      assert.ok(alone.stale_ms > QUIET_MS, `stale by ${alone.stale_ms} ms`);
      assert.match(alone.notes.join('\n'), /no leader is known: this member touches nothing/);
      assert.strictEqual(verdict(alone, 'talk-3'), 'healthy', 'it decides nothing by itself');
      await assert.rejects(group.fettle(CUT, 'status'), (error) => {
        assert.match(error.message, /exit 3\n/);
        assert.match(error.message, /note: no leader is known: this member touches nothing/);
        assert.match(error.message, /STALE: what this member last heard of the group, \d+ s ago/);
        return true;
      });
      await assert.rejects(group.fettle(CUT, 'isolate', 'chat-2'), /exit 3\n/);

      const healed = performance.now();
      await net('heal');
      await scene.bus.until('what was decided meanwhile is done', HEALED_MS, () =>
        watch.changeTo('chat-1', 'maint', healed),
      );
      const caught = await group.until('it has caught up', HEALED_MS, CUT, '/v1/status', (said) =>
        said.cluster && verdict(said, 'talk-3') === 'down');
      assert.deepStrictEqual(caught.notes, []);
      assert.ok(!watch.changes.slice(before).some((one) => one.server === 'chat-2'));
    }),
);
