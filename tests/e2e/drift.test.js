// A real HAProxy that somebody else changes too: a person at its socket, a restart.
'use strict';

const assert = require('node:assert');
const net = require('node:net');
const { test } = require('node:test');
const { Scene, READY_MS } = require('./support/scene.js');
const { untilAnswers } = require('../../trial/lib/http.js');
const {
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

/** One command at HAProxy's socket, as a person would give it. */
function say(files, command) {
  return new Promise((resolve, reject) => {
    let said = '';
    const connection = net.connect(files.haproxy.socket, () => connection.write(`${command}\n`));
    connection.setEncoding('utf8');
    connection.on('data', (text) => (said += text));
    connection.on('error', reject);
    connection.on('close', () => resolve(said.trim()));
  });
}

async function isolatedByFettle(scene, files) {
  const { watch } = await startAll(scene, files);
  await startMember(scene, files);
  await untilSays(files, HEALTHY_MS, allHealthy, 'status');
  const killed = performance.now();
  await scene.processes.kill('server-chat-a').exit;
  await scene.bus.until('HAProxy holds chat-a in maintenance', ISOLATED_MS, () =>
    watch.changeTo('chat-a', 'maint', killed),
  );
  await untilSays(files, ISOLATED_MS, (why) => why.admin === 'isolated', 'why', 'chat-a');
  return watch;
}

test('what a person sets at HAProxy is adopted, and stays', { timeout: 120000 }, () =>
  Scene.play(async (scene) => {
    const files = await smallestFiles(scene);
    const watch = await isolatedByFettle(scene, files);
    assert.strictEqual(await say(files, 'set server be_chat/chat-a state ready'), '');
    const adopted = performance.now();
    const why = await untilSays(files, ISOLATED_MS, (one) => one.admin === 'in_service', 'why', 'chat-a');
    assert.strictEqual(why.verdict, 'down');
    assert.strictEqual(why.owner, 'person');
    assert.match(why.blocked_by[0].reason, /a person put it back/);
    const [incident] = (await ask(files, 'incidents')).incidents;
    assert.ok(
      incident.timeline.some((one) => /external: a person set chat-a to ready/.test(one.reason)),
      'the incident tells it',
    );

    await scene.startModelServer('chat-a', files.servers[0].port);
    await untilSays(files, HEALTHY_MS, allHealthy, 'status');
    assert.ok(!watch.changes.some((one) => one.server === 'chat-a' && one.state === 'maint' && one.at > adopted));

    assert.strictEqual(await say(files, 'set server be_chat/chat-b state maint'), '');
    await untilSays(files, ISOLATED_MS, (one) => one.admin === 'isolated', 'why', 'chat-b');
    assert.strictEqual((await ask(files, 'why', 'chat-b')).owner, 'person');
    assert.strictEqual((await ask(files, 'restore', 'chat-b')).state, 'succeeded');
    await untilSays(files, ISOLATED_MS, (one) => one.admin === 'in_service', 'why', 'chat-b');
  }),
);

test('a restarted HAProxy gets the dead node taken out again, and the gap is told',
  { timeout: 120000 },
  () =>
    Scene.play(async (scene) => {
      const files = await smallestFiles(scene);
      const watch = await isolatedByFettle(scene, files);
      watch.close();
      await scene.processes.kill('haproxy').exit;
      scene.processes.start('haproxy', 'haproxy', ['-db', '-f', files.haproxy.file]);
      await untilAnswers(scene.bus, 'HAProxy answers', READY_MS, {
        port: files.haproxy.port,
        path: '/health',
      });
      const { runs } = await untilSays(
        files,
        ISOLATED_MS,
        (said) =>
          said.runs.some((one) => one.playbook === 'builtin-reassert' && one.state === 'succeeded'),
        'runs',
      );
      assert.strictEqual(runs.filter((one) => one.playbook === 'builtin-reassert').length, 1);
      assert.match(await say(files, 'show servers state be_chat'), / chat-a \S+ \d+ 1 /);
      const told = (await ask(files, 'incidents')).incidents.find((one) => one.service === 'fettle');
      assert.match(told.reason, /was restarted \(process [\d@]+ → [\d@]+\) and had chat-a in its traffic/);
      assert.notStrictEqual(told.resolved_at, null);

      await scene.startModelServer('chat-a', files.servers[0].port);
      await untilSays(files, RESTORED_MS, (one) => one.admin === 'in_service', 'why', 'chat-a');
    }),
);

test('a person cancels a run and tries it again', { timeout: 120000 }, () =>
  Scene.play(async (scene) => {
    const files = await smallestFiles(scene);
    require('node:fs').appendFileSync(
      files.spec,
      `playbooks:
  - name: heal
    mode: enforce
    trigger: {verdict: down}
    steps:
      - {id: out, action: traffic.isolate, timeout: 5s}
      - {id: wait, action: wait.healthy, timeout: 10m}
      - {id: back, action: traffic.restore}
`,
    );
    await isolatedByFettle(scene, files);
    const cancelled = await ask(files, 'cancel', '1', '--reason', 'no');
    assert.strictEqual(cancelled.state, 'cancelled');
    const why = await ask(files, 'why', 'chat-a');
    assert.strictEqual(why.would.playbook, 'heal');
    assert.match(why.blocked_by.map((one) => one.reason).join(), /run 1 was cancelled by .*: no/);
    await assert.rejects(ask(files, 'cancel', '1'), /exit 4\n/);
    await assert.rejects(ask(files, 'retry', '9'), /exit 4\n/);

    assert.match((await ask(files, 'retry', '1', '--no-wait')).message, /run 2/);
    await scene.startModelServer('chat-a', files.servers[0].port);
    const run = await untilSays(files, RESTORED_MS, (one) => one.state === 'succeeded', 'runs', '2');
    assert.deepStrictEqual(run.steps.map((step) => step.state), ['skipped', 'succeeded', 'succeeded']);
  }),
);
