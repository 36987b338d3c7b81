// A stand-alone member with the smallest files of the documentation, real backends, a real HAProxy.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { runToEnd } = require('../../trial/lib/processes.js');
const { Scene } = require('./support/scene.js');
const {
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
} = require('./support/standalone.js');

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
      assert.strictEqual(run.fence.term, (await ask(files, 'status')).cluster.term);
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
    fs.writeFileSync(files.spec, `version: 1\n#${'x'.repeat(1 << 20)}\n`);
    await assert.rejects(
      runToEnd(FETTLED, ['--config', files.member]),
      /exit 2\n[^]*chat\.yaml:1:1: the file is larger/,
    );
    await assert.rejects(
      runToEnd(FETTLE, ['--socket', path.join(scene.folder, 'none.sock'), 'status']),
      /exit 3\n/,
    );
    await assert.rejects(runToEnd(FETTLE, ['statsu']), /exit 2\n/);
  }),
);
