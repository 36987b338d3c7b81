// The trial's own parts, without a daemon: what is true of them must not be Fettle's doing.
'use strict';

const assert = require('node:assert');
const crypto = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { test } = require('node:test');
const { HaproxyWatch } = require('../../trial/lib/haproxy_watch.js');
const { Load } = require('../../trial/lib/load.js');
const { Receiver } = require('../../trial/lib/receiver.js');
const { haproxyConfig, startHaproxy } = require('../../trial/lib/haproxy.js');
const { request, untilAnswers } = require('../../trial/lib/http.js');
const { Scene, ROOT, READY_MS, freePort } = require('./support/scene.js');

const C_TEXT = '#include <stdio.h>\nint main(void) {\n  puts("x");\n  return 0;\n}\n';

function post(port, where, content, headers = {}) {
  return request({ port, path: where, method: 'POST', body: JSON.stringify(content), headers });
}

test('the model server answers as OpenAI and as KServe, and counts', { timeout: 60000 }, () =>
  Scene.play(async (scene) => {
    const port = await freePort();
    await scene.startModelServer('a', port);

    const completion = await post(port, '/v1/completions', { prompt: C_TEXT, max_tokens: 2 });
    assert.match(JSON.parse(completion.body).choices[0].text, /^c \w+$/);
    assert.strictEqual(completion.headers['x-served-by'], 'a');

    const messages = [{ role: 'user', content: C_TEXT }];
    const chat = await post(port, '/v1/chat/completions', { messages, stream: true });
    assert.match(chat.body, /"delta":\{"content":"c "\}/);
    assert.ok(chat.body.endsWith('data: [DONE]\n\n'));

    const inputs = [{ name: 'text', datatype: 'BYTES', shape: [1], data: [C_TEXT] }];
    const inferred = JSON.parse((await post(port, '/v2/models/guesslang/infer', { inputs })).body);
    assert.strictEqual(inferred.outputs[0].data[0], 'c');

    const metrics = (await request({ port, path: '/metrics' })).body;
    assert.match(metrics, /^vllm:request_success_total\{model_name="guesslang"\} 3$/m);
    assert.strictEqual((await post(port, '/v1/completions', { prompt: 7 })).status, 400);
  }),
);

test('a fault hurts completions and leaves health green', { timeout: 60000 }, () =>
  Scene.play(async (scene) => {
    const port = await freePort();
    await scene.startModelServer('a', port);
    await post(port, '/fault', { error_rate: 1 });
    assert.strictEqual((await post(port, '/v1/completions', { prompt: C_TEXT })).status, 500);
    assert.strictEqual((await request({ port, path: '/health' })).status, 200);
    await post(port, '/fault', {});
    assert.strictEqual((await post(port, '/v1/completions', { prompt: C_TEXT })).status, 200);
  }),
);

test('the receiver knows a valid signature from a forged one', { timeout: 30000 }, () =>
  Scene.play(async (scene) => {
    const receiver = new Receiver(scene.bus, 'key');
    const port = await freePort();
    await receiver.listen(port);
    scene.atEnd(() => receiver.close());
    const content = { status: 'firing', incidents: [{ id: 4 }], text: 'a is down' };
    const hmac = crypto.createHmac('sha256', 'key').update(JSON.stringify(content)).digest('hex');
    const deliver = (id, signature) =>
      post(port, '/hook', content, { 'x-fettle-delivery': id, 'x-fettle-signature': signature });

    assert.strictEqual((await deliver('c/4/firing/1', `sha256=${hmac}`)).status, 204);
    assert.strictEqual((await deliver('c/4/firing/1', `sha256=${hmac}`)).status, 204);
    assert.strictEqual(receiver.of(4, 'firing').length, 2);
    assert.strictEqual(receiver.duplicates(), 0, 'a repeat under the same id is no duplicate');

    const forged = `sha256=${hmac.replace(/^./, (c) => (c === '0' ? '1' : '0'))}`;
    assert.strictEqual((await deliver('c/4/firing/2', forged)).status, 401);
    assert.strictEqual(receiver.of(4, 'firing').length, 2);
    assert.strictEqual(receiver.duplicates(), 1, 'another id for the same is one');
  }),
);

/** HAProxy says it by one command on the socket that Fettle would use. */
function haproxyCommand(socket, line) {
  return new Promise((resolve, reject) => {
    const connection = net.connect(socket, () => connection.write(`${line}\n`));
    let text = '';
    connection.on('data', (chunk) => (text += chunk));
    connection.on('error', reject);
    connection.on('close', () => resolve(text.trim()));
  });
}

test(
  "the trial's HAProxy heals nothing by itself, and maint ends the failures",
  { timeout: 90000 },
  () =>
    Scene.play(async (scene) => {
      const { bus } = scene;
      const servers = [
        { name: 'a', port: await freePort() },
        { name: 'b', port: await freePort() },
      ];
      const haproxy = haproxyConfig(scene.folder, await freePort(), servers);
      await Promise.all(servers.map(({ name, port }) => scene.startModelServer(name, port)));
      await startHaproxy(scene.processes, haproxy);
      const watch = new HaproxyWatch(bus, haproxy.watchSocket, haproxy.backend);
      scene.atEnd(() => watch.close());
      await watch.open();
      const front = { port: haproxy.port, path: '/health' };
      await untilAnswers(bus, 'HAProxy passes requests on', READY_MS, front);
      const load = new Load(bus, haproxy.port);
      scene.atEnd(() => load.stop());
      load.start();
      await bus.until('requests pass on both servers', READY_MS, () =>
        servers.every(({ name }) => load.requests.some((one) => one.ok && one.server === name)),
      );
      assert.strictEqual(load.failed(0).length, 0);

      const killed = performance.now();
      scene.processes.kill('server-a');
      await bus.pass(2000);
      assert.ok(load.failed(killed + 1000).length > 10, 'requests to a dead server go on failing');
      assert.ok(load.failed(killed + 1000).every((one) => one.server === 'a'));
      assert.strictEqual(watch.changes.length, 2, 'only the first look at each server');

      watch.pace(HaproxyWatch.FAST_MS);
      assert.strictEqual(
        await haproxyCommand(haproxy.socket, `set server be_chat/a state maint`),
        '',
      );
      const maint = await bus.until('maint is seen', 5000, () =>
        watch.changeTo('a', 'maint', killed),
      );
      await bus.pass(1000);
      const after = load.started(maint.at);
      assert.ok(after.length > 30);
      assert.ok(after.every((one) => one.ok && one.server === 'b'));
    }),
);

/** Ids of the processes whose command line names `folder`. */
function processesOf(folder) {
  return fs.readdirSync('/proc').filter((id) => {
    if (!/^\d+$/.test(id)) return false;
    try {
      return fs.readFileSync(`/proc/${id}/cmdline`, 'utf8').includes(folder);
    } catch {
      return false;
    }
  });
}

/** A bin folder whose daemon never gets ready. */
function standInBinaries(scene) {
  scene.write('bin/fettle', '#!/bin/sh\nexit 0\n');
  scene.write('bin/fettled', '#!/bin/sh\nexec tail -f /dev/null "$2"\n');
  for (const name of ['fettle', 'fettled'])
    fs.chmodSync(path.join(scene.folder, 'bin', name), 0o755);
  return path.join(scene.folder, 'bin');
}

async function interruptedTrial(scene, signal) {
  const bin = standInBinaries(scene);
  const trial = spawn(process.execPath, ['trial/trial.js', '--once', '--bin', bin], { cwd: ROOT });
  let output = '';
  let interrupted = false;
  const ended = new Promise((resolve) => {
    trial.once('exit', (code, by) => {
      if (!interrupted) scene.bus.fail(new Error(`the trial ended by itself:\n${output}`));
      resolve(code ?? by);
    });
  });
  trial.stderr.on('data', (chunk) => (output += chunk));
  trial.stdout.on('data', (chunk) => {
    output += chunk;
    scene.bus.changed();
  });
  const found = await scene.bus.until('the trial names its folder', READY_MS, () =>
    /(\/\S*fettle-trial-\w+)/.exec(output),
  );
  const folder = found[1];
  let started = [];
  const look = setInterval(() => scene.bus.changed(), 50);
  try {
    await scene.bus.until('HAProxy and the members run', READY_MS, () => {
      started = processesOf(folder);
      return started.length >= 4;
    });
  } finally {
    clearInterval(look);
    interrupted = true;
    trial.kill(signal);
  }
  return { folder, how: await ended };
}

test('a trial that is interrupted ends all it started and leaves nothing', { timeout: 90000 }, () =>
  Scene.play(async (scene) => {
    const { folder, how } = await interruptedTrial(scene, 'SIGINT');
    assert.strictEqual(how, 130);
    assert.deepStrictEqual(processesOf(folder), []);
    assert.ok(!fs.existsSync(folder));
  }),
);

test('a trial that is killed takes its processes with it', { timeout: 90000 }, () =>
  Scene.play(async (scene) => {
    const { folder, how } = await interruptedTrial(scene, 'SIGKILL');
    scene.atEnd(() => fs.rmSync(folder, { recursive: true, force: true }));
    assert.strictEqual(how, 'SIGKILL');
    const look = setInterval(() => scene.bus.changed(), 20);
    scene.atEnd(() => clearInterval(look));
    await scene.bus.until(
      'all its processes are gone',
      5000,
      () => processesOf(folder).length === 0,
    );
  }),
);
