// A stand-alone member with the smallest files, real backends and a real HAProxy, for tests.
'use strict';

const assert = require('node:assert');
const path = require('node:path');
const { HaproxyWatch } = require('../../../trial/lib/haproxy_watch.js');
const { Receiver } = require('../../../trial/lib/receiver.js');
const { haproxyConfig, startHaproxy } = require('../../../trial/lib/haproxy.js');
const { untilAnswers } = require('../../../trial/lib/http.js');
const { runToEnd } = require('../../../trial/lib/processes.js');
const { BIN, READY_MS, freePort } = require('./scene.js');

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

module.exports = {
  FETTLE,
  FETTLED,
  HEALTHY_MS,
  ISOLATED_MS,
  RESTORED_MS,
  smallestFiles,
  startAll,
  startMember,
  ask,
  untilSays,
  allHealthy,
};
