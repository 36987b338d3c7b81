// A stand-alone member with the smallest files of the documentation, real backends, a real HAProxy.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { HaproxyWatch } = require('../../trial/lib/haproxy_watch.js');
const { Receiver } = require('../../trial/lib/receiver.js');
const { haproxyConfig, startHaproxy } = require('../../trial/lib/haproxy.js');
const { untilAnswers } = require('../../trial/lib/http.js');
const { runToEnd } = require('../../trial/lib/processes.js');
const { Scene, BIN, READY_MS, freePort } = require('./support/scene.js');

const FETTLE = path.join(BIN, 'fettle');
const FETTLED = path.join(BIN, 'fettled');
const HEALTHY_MS = 30000;
const ISOLATED_MS = 15000;
const RESTORED_MS = 60000;

/** The smallest files; only the paths and ports, which a test must own, are added. */
async function smallestFiles(scene) {
  const [a, b, front, hook, api] = await Promise.all(Array.from({ length: 5 }, () => freePort()));
  const servers = [
    { name: 'chat-a', port: a },
    { name: 'chat-b', port: b },
  ];
  const haproxy = haproxyConfig(scene.folder, front, servers);
  const socket = path.join(scene.folder, 'fettle.sock');
  const spec = scene.write(
    'conf.d/chat.yaml',
    `version: 1
services:
  - name: chat
    engine: generic
    nodes:
      - {name: chat-a, address: "127.0.0.1:${a}"}
      - {name: chat-b, address: "127.0.0.1:${b}"}
    traffic: {kind: haproxy, socket: ${haproxy.socket}, backend: ${haproxy.backend}}
receivers:
  - {name: oncall, kind: webhook, url: "http://127.0.0.1:${hook}/hook"}
route: {receiver: oncall}
`,
  );
  const member = scene.write(
    'fettled.yaml',
    `spec: [${path.join(scene.folder, 'conf.d', '*.yaml')}]
allow: {haproxy: [${haproxy.socket}]}
data_dir: ${path.join(scene.folder, 'data')}
listen: {api: "127.0.0.1:${api}", socket: ${socket}}
`,
  );
  return { servers, haproxy, hook, api, socket, spec, member };
}

async function startAll(scene, files) {
  for (const { name, port } of files.servers) await scene.startModelServer(name, port);
  await startHaproxy(scene.processes, files.haproxy);
  const watch = new HaproxyWatch(scene.bus, files.haproxy.watchSocket, files.haproxy.backend);
  scene.atEnd(() => watch.close());
  await untilAnswers(scene.bus, 'HAProxy answers', READY_MS, {
    port: files.haproxy.port,
    path: '/health',
  });
  await watch.open();
  watch.pace(HaproxyWatch.FAST_MS);
  const receiver = new Receiver(scene.bus, '');
  await receiver.listen(files.hook);
  scene.atEnd(() => receiver.close());
  return { watch, receiver };
}

async function startMember(scene, files) {
  scene.processes.start('fettled', FETTLED, ['--config', files.member]);
  await untilAnswers(scene.bus, 'fettled is ready', READY_MS, { port: files.api, path: '/readyz' });
}

async function ask(files, ...args) {
  const all = ['--socket', files.socket, '--output', 'json', ...args];
  return JSON.parse(await runToEnd(FETTLE, all));
}

/** Polls a view until it is as wanted. */
async function untilSays(files, timeoutMs, wanted, ...args) {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const said = await ask(files, ...args);
    if (wanted(said)) return said;
    if (performance.now() > end) assert.fail(`never so: ${JSON.stringify(said)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const allHealthy = (status) =>
  status.services.length === 1 && status.services[0].verdict === 'healthy';

test('the smallest files, stand-alone: a killed backend is isolated, and restored when it is back',
  { timeout: 200000 },
  () =>
    Scene.play(async (scene) => {
      const files = await smallestFiles(scene);
      await runToEnd(FETTLED, ['--config', files.member, '--check']);
      const { watch, receiver } = await startAll(scene, files);
      await startMember(scene, files);
      await untilSays(files, HEALTHY_MS, allHealthy, 'status');

      const killed = performance.now();
      await scene.processes.kill('server-chat-a').exit;
      await scene.bus.until('HAProxy holds chat-a in maintenance', ISOLATED_MS, () =>
        watch.changeTo('chat-a', 'maint', killed),
      );
      const [incident] = (await ask(files, 'incidents')).incidents;
      assert.strictEqual(incident.node, 'chat-a');
      assert.match(incident.reason, /1 of 1 observers: refused \(lone observer\)/);
      await scene.bus.until(
        'the firing alert',
        ISOLATED_MS,
        () => receiver.of(1, 'firing').length > 0,
      );

      await scene.startModelServer('chat-a', files.servers[0].port);
      await scene.bus.until('HAProxy has chat-a ready again', RESTORED_MS, () =>
        watch.changeTo('chat-a', 'ready', killed),
      );
      await scene.bus.until(
        'the resolved alert',
        RESTORED_MS,
        () => receiver.of(1, 'resolved').length > 0,
      );
      const [run] = (await untilSays(files, RESTORED_MS, (said) =>
        said.runs.every((one) => one.state === 'succeeded'), 'runs')).runs;
      assert.strictEqual(run.playbook, 'builtin-restore');
      assert.ok(!watch.changes.some((one) => one.server === 'chat-b' && one.before !== undefined));
    }),
);

test('kill -9 of the member between isolation and return: the next start restores the node',
  { timeout: 200000 },
  () =>
    Scene.play(async (scene) => {
      const files = await smallestFiles(scene);
      const { watch } = await startAll(scene, files);
      await startMember(scene, files);
      await untilSays(files, HEALTHY_MS, allHealthy, 'status');
      const killed = performance.now();
      await scene.processes.kill('server-chat-b').exit;
      await scene.bus.until('HAProxy holds chat-b in maintenance', ISOLATED_MS, () =>
        watch.changeTo('chat-b', 'maint', killed),
      );
      await scene.processes.kill('fettled').exit;
      await startMember(scene, files);
      const [incident] = (await ask(files, 'incidents')).incidents;
      assert.strictEqual(incident.node, 'chat-b', 'the incident outlived the process');
      assert.strictEqual(incident.resolved_at, null);
      await scene.startModelServer('chat-b', files.servers[1].port);
      await scene.bus.until('HAProxy has chat-b ready again', RESTORED_MS, () =>
        watch.changeTo('chat-b', 'ready', killed),
      );
    }),
);

test('a person isolates and restores over the local socket; the last node stays', { timeout: 200000 },
  () =>
    Scene.play(async (scene) => {
      const files = await smallestFiles(scene);
      const { watch } = await startAll(scene, files);
      await startMember(scene, files);
      await untilSays(files, HEALTHY_MS, allHealthy, 'status');
      const began = performance.now();
      const run = await ask(files, 'isolate', 'chat-a', '--reason', 'a new disk');
      assert.strictEqual(run.state, 'succeeded');
      assert.ok(watch.changes.some((one) => one.server === 'chat-a' && one.at >= began));
      await assert.rejects(ask(files, 'isolate', 'chat-b'), /exit 4\n[^]*last_node/);
      await assert.rejects(ask(files, 'isolate', 'chat-x'), /exit 4\n[^]*chat-x/);
      assert.strictEqual((await ask(files, 'restore', 'chat-a')).state, 'succeeded');
      const status = await ask(files, 'status');
      assert.deepStrictEqual(status.services[0].nodes.map((node) => node.admin), ['in_service', 'in_service']);
    }),
);

test('bad files say every place, exit 2 and start nothing', { timeout: 30000 }, () =>
  Scene.play(async (scene) => {
    const files = await smallestFiles(scene);
    fs.appendFileSync(files.spec, 'recievers: []\n');
    fs.appendFileSync(files.member, 'alow: {}\n');
    const wrong = /fettled\.yaml:5:1: alow: .*did you mean "allow"/;
    await assert.rejects(runToEnd(FETTLED, ['--config', files.member]), (error) => {
      assert.match(error.message, /exit 2/);
      assert.match(error.message, wrong);
      return true;
    });
    fs.writeFileSync(files.member, fs.readFileSync(files.member, 'utf8').replace('alow: {}\n', ''));
    await assert.rejects(
      runToEnd(FETTLED, ['--config', files.member]),
      /exit 2\n[^]*chat\.yaml:12:1: recievers: .*did you mean "receivers"/,
    );
    await assert.rejects(runToEnd(FETTLE, ['validate', '-f', files.spec]), /exit 2\n[^]*recievers/);
    await assert.rejects(
      runToEnd(FETTLE, ['--socket', path.join(scene.folder, 'none.sock'), 'status']),
      /exit 3\n/,
    );
    await assert.rejects(runToEnd(FETTLE, ['statsu']), /exit 2\n/);
  }),
);
