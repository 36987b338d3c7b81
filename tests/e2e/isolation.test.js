// What an isolation says to HAProxy, as somebody between the two hears it, and how a node that is
// held isolated leaves the spec.
'use strict';

const assert = require('node:assert');
const { test } = require('node:test');
const { CountedSocket } = require('../../trial/lib/counted_socket.js');
const { HaproxyWatch } = require('../../trial/lib/haproxy_watch.js');
const { haproxyConfig, startHaproxy } = require('../../trial/lib/haproxy.js');
const { Scene, freePort } = require('./support/scene.js');
const { HEALTHY_MS, ISOLATED_MS, ask, untilSays } = require('./support/standalone.js');
const {
  startNodes,
  serviceYaml,
  memberFiles,
  startLightMember,
  everyServiceHealthy,
} = require('./support/light.js');

/** Three light nodes behind a real HAProxy whose socket is listened in to, at a port, and a member. */
async function start(scene) {
  const nodes = await startNodes(scene, ['chat-a', 'chat-b', 'chat-c']);
  const haproxy = haproxyConfig(scene.folder, await freePort(), nodes);
  await startHaproxy(scene.processes, haproxy);
  const watch = new HaproxyWatch(scene.bus, haproxy.watchSocket, haproxy.backend);
  scene.atEnd(() => watch.close());
  await watch.open();
  const port = await freePort();
  const heard = new CountedSocket({ port, host: 'localhost' }, haproxy.socket);
  await heard.listen();
  scene.atEnd(() => heard.close());
  const socket = `"localhost:${port}"`;
  const traffic = `    traffic: {kind: haproxy, socket: ${socket}, backend: ${haproxy.backend}}\n`;
  const spec = (some) => `version: 1\nservices:\n${serviceYaml('chat', some, traffic)}`;
  const files = await memberFiles(scene, spec(nodes), [`localhost:${port}`]);
  await startLightMember(scene, files);
  await untilSays(files, HEALTHY_MS, everyServiceHealthy, 'status');
  return { nodes, watch, heard, files, spec };
}

test('who lives is drained; who is dead goes to maintenance and its sessions end', { timeout: 120000 }, () =>
  Scene.play(async (scene) => {
    const { nodes, heard, files } = await start(scene);
    assert.strictEqual((await ask(files, 'isolate', 'chat-a')).state, 'succeeded');
    assert.strictEqual(heard.count(/^set server \S+\/chat-a state drain$/), 1);
    assert.strictEqual((await ask(files, 'restore', 'chat-a')).state, 'succeeded');
    assert.strictEqual(heard.count(/^set server \S+\/chat-a state ready$/), 1);
    assert.strictEqual(heard.count(/^shutdown sessions/), 0);

    await nodes[1].stop();
    await untilSays(files, ISOLATED_MS, (one) => one.admin === 'isolated', 'nodes', 'chat-b');
    assert.strictEqual(heard.count(/^set server \S+\/chat-b state maint$/), 1);
    assert.strictEqual(heard.count(/^shutdown sessions server \S+\/chat-b$/), 1);
  }),
);

test('a node that is held isolated leaves the spec only if that is forced', { timeout: 120000 }, () =>
  Scene.play(async (scene) => {
    const { nodes, watch, files, spec } = await start(scene);
    await nodes[1].stop();
    await untilSays(files, ISOLATED_MS, (one) => one.admin === 'isolated', 'nodes', 'chat-b');
    const without = scene.write('without.yaml', spec([nodes[0], nodes[2]]));
    const apply = (...more) => ask(files, 'apply', '-f', without, ...more);
    assert.deepStrictEqual((await ask(files, 'diff', '-f', without)).changes, ['- node chat/chat-b']);
    await assert.rejects(apply(), /exit 4\n[^]*--prune/);
    await assert.rejects(apply('--prune'), /exit 4\n[^]*chat-b is held isolated by Fettle/);
    await assert.rejects(apply('--force', 'abandon'), /exit 2\n/);
    assert.deepStrictEqual((await ask(files, 'status')).notes, []);

    assert.strictEqual((await apply('--prune', '--force', 'abandon')).revision, 2);
    const status = await ask(files, 'status');
    assert.deepStrictEqual(status.services[0].nodes.map((node) => node.name), ['chat-a', 'chat-c']);
    assert.strictEqual(status.open_incidents, 0);
    assert.match(status.notes.join(), /spec files differ from revision 2/);
    assert.strictEqual(watch.states.get('chat-b'), 'maint', 'it stays as it was at its director');
  }),
);
