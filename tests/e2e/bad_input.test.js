// Bad input at the command: whatever is wrong with the files, `fettle apply` exits 2, says where, and
// the revision stays; the documented examples are good.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { runToEnd } = require('../../trial/lib/processes.js');
const { Scene, ROOT } = require('./support/scene.js');
const { FETTLE, HEALTHY_MS, ask, untilSays } = require('./support/standalone.js');
const { startNodes, serviceYaml, memberFiles, startLightMember } = require('./support/light.js');

const BAD = path.join(ROOT, 'tests/spec/bad');
const DATA = path.join(ROOT, 'tests/spec/data');
const TEN_MIB = 10 << 20;

/** Files of the language's own tests, each with the message that it expects first. */
function badFiles() {
  return fs
    .readdirSync(BAD)
    .filter((name) => name.endsWith('.yaml') && !name.startsWith('member_'))
    .map((name) => {
      const text = fs.readFileSync(path.join(BAD, name), 'latin1');
      return { file: path.join(BAD, name), place: /^# expect: (\d+:\d+): /m.exec(text)[1] };
    });
}

test('no bad file changes the revision; each is told with its place', { timeout: 120000 }, () =>
  Scene.play(async (scene) => {
    const nodes = await startNodes(scene, ['chat-a']);
    const files = await memberFiles(scene, `version: 1\nservices:\n${serviceYaml('chat', nodes)}`);
    await startLightMember(scene, files);
    const before = await untilSays(files, HEALTHY_MS, (status) => status.revision === 1, 'status');

    const huge = scene.write('huge.yaml', `version: 1\n#${'x'.repeat(TEN_MIB)}\n`);
    const all = [...badFiles(), { file: huge, place: '1:1' }];
    for (const { file, place } of all) {
      await assert.rejects(
        runToEnd(FETTLE, ['--socket', files.socket, 'apply', '-f', file]),
        (error) => {
          assert.match(error.message, /: exit 2\n/, file);
          assert.ok(error.message.includes(`${file}:${place}: `), error.message);
          return true;
        },
      );
    }
    const after = await ask(files, 'status');
    assert.strictEqual(after.revision, before.revision);
    assert.strictEqual(after.services.length, 1);
  }),
);

test('the examples of the documentation are good', { timeout: 30000 }, async () => {
  const examples = fs.readdirSync(DATA).filter((name) => name.endsWith('.yaml'));
  assert.ok(examples.length >= 4, `${examples}`);
  for (const name of examples) {
    await runToEnd(FETTLE, ['validate', '--syntax', '-f', path.join(DATA, name)]);
  }
});

test('a member file beside the spec is judged as one', { timeout: 30000 }, () =>
  Scene.play(async (scene) => {
    scene.write('all/fettled.yaml', 'alow: {}\ndata_dir: /var/lib/fettle\n');
    scene.write('all/spec.yaml', 'version: 1\nrecievers: []\n');
    await assert.rejects(
      runToEnd(FETTLE, ['validate', '-f', path.join(scene.folder, 'all')]),
      /exit 2\n[^]*fettled\.yaml:1:1: alow: [^]*spec\.yaml:2:1: recievers: /,
    );
  }),
);

test('init tls writes over nothing', { timeout: 30000 }, () =>
  Scene.play(async (scene) => {
    const out = path.join(scene.folder, 'tls');
    const init = (members) =>
      runToEnd(FETTLE, ['init', 'tls', '--cluster', 'test', '--member', members, '--out', out]);
    await init('m1,m2');
    const key = fs.readFileSync(path.join(out, 'm1.key'), 'utf8');
    await assert.rejects(init('m1'), /exit 4\n[^]*exists already/);
    await assert.rejects(init('../m3'), /exit 2\n/);
    assert.strictEqual(fs.readFileSync(path.join(out, 'm1.key'), 'utf8'), key);
    assert.strictEqual(fs.statSync(path.join(out, 'm1.key')).mode & 0o777, 0o600);
  }),
);
