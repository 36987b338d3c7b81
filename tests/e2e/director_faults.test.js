// HAProxy's socket is missing, hangs, talks without end, closes or answers garbage: the step fails
// with the reason, is tried again as told, and the run goes on by `on_failure`. When a real HAProxy
// is there again, the node is isolated.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { Receiver } = require('../../trial/lib/receiver.js');
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

const RUN_MS = 30000;
const TIMEOUT_MS = 1000;

/** What each bad socket does with a connection, and what the step must say of it. */
const FAULTS = {
  missing: { says: /no such file|refused/i },
  garbage: {
    connection: (socket) => socket.end(Buffer.from([0xff, 0xfe, 0x00, 0x0a, 0x1b, 0x5b, 0x33])),
    says: /answers garbage/,
  },
  hanging: { connection: () => {}, says: /no answer in time|deadline|in time/ },
  endless: {
    connection: (socket) => {
      const part = Buffer.alloc(64 << 10, 'x');
      const more = () => socket.destroyed || socket.write(part, () => setImmediate(more));
      more();
    },
    says: /an answer without end/,
  },
  closing: { connection: (socket) => socket.destroy(), says: /garbage|reset|closed|broken pipe/ },
};

/** A unix socket that treats every connection as `connection` says. */
function badSocket(scene, file, connection) {
  const open = new Set();
  const server = net.createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    socket.resume();
    connection(socket);
  });
  const close = () => {
    for (const socket of open) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  };
  scene.atEnd(() => server.listening && close());
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(file, () => resolve({ close }));
  });
}

const traffic = (socket) => `    traffic: {kind: haproxy, socket: ${socket}, backend: be_chat}\n`;

const playbook = (service, retry) => `  - name: out-${service}
    mode: enforce
    trigger: {verdict: down, services: [${service}]}
    steps:
      - {id: switch, action: traffic.isolate, timeout: ${TIMEOUT_MS}ms, retry: ${retry}, on_failure: continue}
      - {id: tell, action: notify.send, input: {receiver: oncall, text: "${service} is done"}}
`;

const oncall = (port) => `receivers: [{name: oncall, kind: webhook, url: "http://127.0.0.1:${port}/"}]
route: {receiver: oncall}
`;

async function startReceiver(scene) {
  const receiver = new Receiver(scene.bus);
  const port = await freePort();
  await receiver.listen(port);
  scene.atEnd(() => receiver.close());
  return { receiver, port };
}

test('every way in which the socket fails ends the step in time, with its reason', { timeout: 120000 },
  () =>
    Scene.play(async (scene) => {
      const { receiver, port } = await startReceiver(scene);
      let services = '';
      let playbooks = '';
      const victims = [];
      const sockets = [];
      for (const [fault, { connection }] of Object.entries(FAULTS)) {
        const nodes = await startNodes(scene, [`${fault}-a`, `${fault}-b`]);
        const socket = path.join(scene.folder, `${fault}.sock`);
        if (connection) await badSocket(scene, socket, connection);
        services += serviceYaml(fault, nodes, traffic(socket));
        playbooks += playbook(fault, '{count: 1, delay: 100ms}');
        victims.push(nodes[0]);
        sockets.push(socket);
      }
      const files = await memberFiles(
        scene,
        `version: 1\nservices:\n${services}playbooks:\n${playbooks}${oncall(port)}`,
        sockets,
      );
      await startLightMember(scene, files);
      await untilSays(files, HEALTHY_MS, everyServiceHealthy, 'status');
      for (const node of victims) await node.stop();

      const over = (runs, fault) =>
        runs.find((run) => run.node === `${fault}-a` && run.state === 'succeeded');
      const { runs } = await untilSays(
        files,
        RUN_MS,
        (said) => Object.keys(FAULTS).every((fault) => over(said.runs, fault)),
        'runs',
      );
      for (const [fault, { says }] of Object.entries(FAULTS)) {
        const ofFault = runs.filter((run) => run.node === `${fault}-a`);
        assert.strictEqual(ofFault.length, 1, `${fault}: a failed isolation pauses the next run`);
        const [step, tell] = over(runs, fault).steps;
        assert.strictEqual(step.state, 'failed', fault);
        assert.strictEqual(step.attempt, 2, `${fault}: tried again once`);
        assert.match(JSON.stringify([step.reason, step.tasks]), says, fault);
        const took = Date.parse(step.finished_at) - Date.parse(step.started_at);
        assert.ok(took < 2 * TIMEOUT_MS + 2000, `${fault} took ${took} ms`);
        assert.strictEqual(tell.state, 'succeeded', `${fault}: the run goes on`);
      }
      const status = await ask(files, 'status');
      const admins = status.services.flatMap((one) => one.nodes.map((node) => node.admin));
      assert.ok(admins.every((admin) => admin === 'in_service'), 'nothing was isolated');
      await scene.bus.until('every run told its text', ISOLATED_MS, () =>
        Object.keys(FAULTS).every((fault) =>
          receiver.deliveries.some((one) => one.text.includes(`${fault} is done`)),
        ),
      );
    }),
);

test('a real HAProxy that takes the place of a hanging socket isolates at the next attempt',
  { timeout: 120000 },
  () =>
    Scene.play(async (scene) => {
      const { port } = await startReceiver(scene);
      const nodes = await startNodes(scene, ['chat-a', 'chat-b']);
      const haproxy = haproxyConfig(scene.folder, await freePort(), nodes);
      const bad = await badSocket(scene, haproxy.socket, () => {});
      const files = await memberFiles(
        scene,
        `version: 1\nservices:\n${serviceYaml('chat', nodes, traffic(haproxy.socket))}playbooks:\n${playbook('chat', '{count: 50, delay: 200ms}')}${oncall(port)}`,
        [haproxy.socket],
      );
      await startLightMember(scene, files);
      await untilSays(files, HEALTHY_MS, everyServiceHealthy, 'status');
      const stopped = performance.now();
      await nodes[0].stop();
      await untilSays(files, RUN_MS, (said) => said.runs[0]?.steps[0].attempt >= 3, 'runs');
      await bad.close();
      fs.rmSync(haproxy.socket, { force: true });
      await startHaproxy(scene.processes, haproxy);
      const watch = new HaproxyWatch(scene.bus, haproxy.watchSocket, haproxy.backend);
      scene.atEnd(() => watch.close());
      await watch.open();
      await scene.bus.until('HAProxy holds chat-a in maintenance', RUN_MS, () =>
        watch.changeTo('chat-a', 'maint', stopped),
      );
      const { runs } = await untilSays(
        files,
        RUN_MS,
        (said) => said.runs.some((run) => run.state === 'succeeded'),
        'runs',
      );
      assert.strictEqual(runs.length, 1, 'one run, several attempts');
      assert.ok(runs[0].steps[0].attempt >= 4);
      assert.strictEqual(runs[0].steps[0].state, 'succeeded');
    }),
);
