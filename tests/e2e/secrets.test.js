// Where a receiver's address and key come from when the spec only names them.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { Receiver } = require('../../trial/lib/receiver.js');
const { untilAnswers } = require('../../trial/lib/http.js');
const { Scene, READY_MS, freePort } = require('./support/scene.js');
const { FETTLED, HEALTHY_MS, ISOLATED_MS, ask, untilSays } = require('./support/standalone.js');
const { startNodes, serviceYaml, memberFiles, everyServiceHealthy } = require('./support/light.js');

test('the credentials of the service manager come before the folder of secrets', { timeout: 120000 }, () =>
  Scene.play(async (scene) => {
    const receiver = new Receiver(scene.bus, 'the right key');
    const port = await freePort();
    await receiver.listen(port);
    scene.atEnd(() => receiver.close());
    const nodes = await startNodes(scene, ['chat-a']);
    const files = await memberFiles(
      scene,
      `version: 1
services:
${serviceYaml('chat', nodes)}receivers:
  - {name: oncall, kind: webhook, url_secret: hook_url, sign_secret: hook_key}
route: {receiver: oncall}
`,
    );
    scene.write('secrets/hook_url', `http://127.0.0.1:${port}/hook\n`);
    scene.write('secrets/hook_key', 'a key of before');
    scene.write('credentials/hook_key', 'the right key\n');
    fs.appendFileSync(files.member, `secrets: ${path.join(scene.folder, 'secrets')}\n`);
    const credentials = `CREDENTIALS_DIRECTORY=${path.join(scene.folder, 'credentials')}`;
    scene.processes.start('fettled', 'env', [credentials, FETTLED, '--config', files.member]);
    await untilAnswers(scene.bus, 'fettled is ready', READY_MS, { port: files.api, path: '/readyz' });
    await untilSays(files, HEALTHY_MS, everyServiceHealthy, 'status');

    await nodes[0].stop();
    await scene.bus.until('a signed alert', ISOLATED_MS, () => receiver.of(1, 'firing').length > 0);
    const said = JSON.stringify([await ask(files, 'status'), await ask(files, 'incidents')]);
    assert.ok(!said.includes('right key'), 'a secret is never shown');
  }),
);
