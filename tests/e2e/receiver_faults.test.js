// Receivers that answer 500, hang, talk without end, redirect or hang up: each is tried again under
// the same delivery id with growing pauses, costs no memory, and delays neither the isolation nor the
// receiver that works.
'use strict';

const assert = require('node:assert');
const net = require('node:net');
const { test } = require('node:test');
const { Receiver } = require('../../trial/lib/receiver.js');
const { HaproxyWatch } = require('../../trial/lib/haproxy_watch.js');
const { haproxyConfig, startHaproxy } = require('../../trial/lib/haproxy.js');
const { Scene, freePort } = require('./support/scene.js');
const { HEALTHY_MS, ISOLATED_MS, untilSays } = require('./support/standalone.js');
const {
  startNodes,
  serviceYaml,
  memberFiles,
  startLightMember,
  everyServiceHealthy,
  residentKib,
} = require('./support/light.js');

const RETRIES = 3;
const DELAY_MS = 300;
const SPENT_MS = 30000;
const GROWTH_KIB_MAX = 32 << 10;
const BODY_BYTES = 1 << 30;
const PART = Buffer.alloc(256 << 10, 'x');
const HEADER = Buffer.from(`X-Endless: ${'y'.repeat(4000)}\r\n`.repeat(16));

/** Sends `part` again and again, at the pace of the reader, until `bytes` are out or it is gone. */
function pour(stream, part, bytes) {
  let sent = 0;
  const more = () => {
    if (stream.destroyed || sent >= bytes) return stream.end();
    sent += part.length;
    stream.write(part, () => setImmediate(more));
  };
  more();
}

/** What each does with a request whose body was read, on the raw socket. */
const FAULTS = {
  error: (socket) => socket.end('HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n'),
  redirect: (socket, self) =>
    socket.end(`HTTP/1.1 307 There\r\nlocation: http://127.0.0.1:${self.port}/again\r\ncontent-length: 0\r\n\r\n`),
  early: (socket) => socket.end(),
  cut: (socket) => socket.end('HTTP/1.1 2'),
  reset: (socket) => socket.resetAndDestroy(),
  headers: (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n');
    pour(socket, HEADER, BODY_BYTES);
  },
  garbage: (socket) => pour(socket, PART, BODY_BYTES),
  hanging: () => {},
  body: (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${BODY_BYTES}\r\n\r\n`);
    pour(socket, PART, BODY_BYTES);
  },
};
/** A 200 whose body nobody reads to its end is still a 200; who hangs uses up 10 s an attempt. */
const DELIVERED = ['body'];
const SLOW = ['hanging'];

/** Keeps {at, id, path} of every request and then lets the fault have the socket. */
class BadReceiver {
  constructor(scene, answer) {
    this.seen = [];
    this.open = new Set();
    this.server = net.createServer((socket) => {
      this.open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.open.delete(socket));
      let head = '';
      socket.on('data', (part) => {
        if (head.includes('\r\n\r\n')) return;
        head += part;
        if (!head.includes('\r\n\r\n')) return;
        const id = /x-fettle-delivery: (\S+)/i.exec(head)?.[1];
        this.seen.push({ at: performance.now(), id, path: head.split(' ')[1] });
        scene.bus.changed();
        answer(socket, this);
      });
    });
    scene.atEnd(() => this.close());
  }

  async listen() {
    this.port = await freePort();
    await new Promise((resolve) => this.server.listen(this.port, '127.0.0.1', resolve));
  }

  close() {
    for (const socket of this.open) socket.destroy();
    return new Promise((resolve) => this.server.close(resolve));
  }
}

async function startBad(scene) {
  const bad = {};
  for (const [name, answer] of Object.entries(FAULTS)) {
    bad[name] = new BadReceiver(scene, answer);
    await bad[name].listen();
  }
  return bad;
}

function specText(nodes, haproxy, bad, port) {
  const retry = `retry: {count: ${RETRIES}, delay: ${DELAY_MS}ms, backoff: 2.0}`;
  const receivers = Object.entries({ ...bad, oncall: { port } }).map(
    ([name, one]) => `  - {name: ${name}, kind: webhook, url: "http://127.0.0.1:${one.port}/hook", ${retry}}\n`,
  );
  const tell = (name) =>
    `      - {id: tell-${name}, action: notify.send, input: {receiver: ${name}, text: "\${node.name}"}, on_failure: continue}\n`;
  return `version: 1
services:
${serviceYaml('chat', nodes, `    traffic: {kind: haproxy, socket: ${haproxy.socket}, backend: ${haproxy.backend}}\n`)}\
playbooks:
  - name: out
    mode: enforce
    trigger: {verdict: down}
    steps:
${Object.keys(bad).map(tell).join('')}\
      - {id: switch, action: traffic.isolate, timeout: 5s}
receivers:
${receivers.join('')}\
route: {receiver: oncall}
`;
}

test('receivers that fail in every way cost no memory and hold up nothing', { timeout: 120000 }, () =>
  Scene.play(async (scene) => {
    const nodes = await startNodes(scene, ['chat-a', 'chat-b']);
    const haproxy = haproxyConfig(scene.folder, await freePort(), nodes);
    await startHaproxy(scene.processes, haproxy);
    const watch = new HaproxyWatch(scene.bus, haproxy.watchSocket, haproxy.backend);
    scene.atEnd(() => watch.close());
    await watch.open();
    const bad = await startBad(scene);
    const good = new Receiver(scene.bus);
    const port = await freePort();
    await good.listen(port);
    scene.atEnd(() => good.close());
    const files = await memberFiles(scene, specText(nodes, haproxy, bad, port), [haproxy.socket]);
    const { pid } = await startLightMember(scene, files);
    await untilSays(files, HEALTHY_MS, everyServiceHealthy, 'status');

    const before = residentKib(pid);
    let most = before;
    const look = setInterval(() => (most = Math.max(most, residentKib(pid))), 50);
    scene.atEnd(() => clearInterval(look));
    await nodes[0].stop();
    const stopped = performance.now();
    await scene.bus.until('HAProxy holds chat-a in maintenance', ISOLATED_MS, () =>
      watch.changeTo('chat-a', 'maint', stopped),
    );
    await scene.bus.until('the good receiver is told', ISOLATED_MS, () => good.deliveries.length > 0);
    const told = good.deliveries[0].at - stopped;
    assert.ok(told < 5000, `the good receiver heard after ${told} ms`);

    const failing = Object.keys(bad).filter((name) => ![...DELIVERED, ...SLOW].includes(name));
    await scene.bus.until('every retry is spent', SPENT_MS, () =>
      failing.every((name) => bad[name].seen.length > RETRIES),
    );
    await scene.bus.until('the hanging one is tried again', SPENT_MS, () => bad.hanging.seen.length >= 2);
    await scene.bus.pass(1000);
    for (const name of failing) {
      const { seen } = bad[name];
      assert.strictEqual(seen.length, 1 + RETRIES, `${name}: ${seen.length} requests`);
      assert.strictEqual(new Set(seen.map((one) => one.id)).size, 1, `${name}: one delivery id`);
      assert.ok(seen.every((one) => one.path === '/hook'), `${name}: no redirect is followed`);
      for (let i = 1; i < seen.length; i += 1) {
        const pause = seen[i].at - seen[i - 1].at;
        assert.ok(pause > DELAY_MS * 2 ** (i - 1) * 0.9, `${name}: pause ${i} of ${pause} ms`);
      }
    }
    for (const name of DELIVERED) assert.strictEqual(bad[name].seen.length, 1, name);
    assert.strictEqual(new Set(bad.hanging.seen.map((one) => one.id)).size, 1);
    assert.ok(most - before < GROWTH_KIB_MAX, `fettled grew from ${before} to ${most} KiB`);
    assert.strictEqual(good.duplicates(), 0);
  }),
);
