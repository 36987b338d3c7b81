// The disk is full, or the data directory cannot be written: the member says so and ends with its
// exit code; once there is room again it goes on with the same state.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { test } = require('node:test');
const { runToEnd } = require('../../trial/lib/processes.js');
const { Scene } = require('./support/scene.js');
const { FETTLE, FETTLED, HEALTHY_MS, ask, untilSays } = require('./support/standalone.js');
const {
  startNodes,
  serviceYaml,
  memberFiles,
  startLightMember,
  everyServiceHealthy,
} = require('./support/light.js');

const DISK = '4m';
const EXIT_DISK = 'exit code 74';
const FAILS_MS = 20000;
const STILL_FULL_MS = 2000;
const skip = process.getuid() === 0 ? false : 'needs root: it mounts a small file system';

/** A small file system of the test's own at `folder`. */
function mountSmall(scene, folder) {
  fs.mkdirSync(folder, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'fettle-test', folder]);
  // After the processes: what is mounted lazily ends with its last user.
  scene.atEnd(() => execFileSync('umount', ['-l', folder]));
}

/** Takes all the room that is left. */
function fill(file) {
  const part = Buffer.alloc(64 << 10);
  const handle = fs.openSync(file, 'w');
  try {
    for (;;) fs.writeSync(handle, part);
  } catch (error) {
    assert.strictEqual(error.code, 'ENOSPC');
  } finally {
    fs.closeSync(handle);
  }
}

test('a full disk ends the member with a message; with room again it has all that it had said yes to',
  { timeout: 90000, skip },
  () =>
    Scene.play(async (scene) => {
      const nodes = await startNodes(scene, ['chat-a', 'chat-b']);
      const files = await memberFiles(scene, `version: 1\nservices:\n${serviceYaml('chat', nodes)}`);
      mountSmall(scene, files.data);
      const member = await startLightMember(scene, files);
      await untilSays(files, HEALTHY_MS, everyServiceHealthy, 'status');
      await ask(files, 'freeze', '--for', '1h', '--reason', 'before the disk is full');

      member.asked = true; // its end is what this test is about
      const ballast = path.join(files.data, 'ballast');
      fill(ballast);
      let taken = 0;
      const end = performance.now() + FAILS_MS;
      while (!member.ended && performance.now() < end) {
        const said = runToEnd(FETTLE, ['--socket', files.socket, 'freeze', '--for', '1h', '--reason', `n${taken}`]);
        const ok = await Promise.race([said.then(() => true, () => false), member.exit.then(() => false)]);
        if (ok) taken += 1;
        await said.catch(() => {});
      }
      await member.exit;
      assert.strictEqual(member.how, EXIT_DISK);
      const log = fs.readFileSync(member.log, 'utf8');
      assert.match(log, /disk|database or disk is full|full/i);
      assert.match(log, /\.db: /, 'it says which file');

      // Still full: it says so again, or finds room in the write-ahead log that its start empties.
      await runToEnd(FETTLED, ['--config', files.member], STILL_FULL_MS).catch((error) => {
        assert.match(error.message, /exit (1|74)\n/);
        assert.match(error.message, /\.db: .*full/);
      });

      fs.rmSync(ballast);
      await startLightMember(scene, files);
      const status = await untilSays(files, HEALTHY_MS, everyServiceHealthy, 'status');
      const reasons = status.freezes.map((one) => one.reason);
      const last = taken > 0 ? `n${taken - 1}` : 'before the disk is full';
      assert.ok(reasons.some((one) => one === last || one === `n${taken}`), JSON.stringify(reasons));
      assert.strictEqual(status.revision, 1);
    }),
);

test('a data directory that cannot be made or written is said at the start', { timeout: 60000, skip }, () =>
  Scene.play(async (scene) => {
    const nodes = await startNodes(scene, ['chat-a']);
    const files = await memberFiles(scene, `version: 1\nservices:\n${serviceYaml('chat', nodes)}`);
    fs.mkdirSync(files.data, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'fettle-test', files.data]);
    scene.atEnd(() => execFileSync('umount', ['-l', files.data]));
    await assert.rejects(runToEnd(FETTLED, ['--config', files.member]), (error) => {
      assert.match(error.message, /exit 1\n/);
      assert.match(error.message, /data\/group\.db: /);
      return true;
    });
    const text = fs.readFileSync(files.member, 'utf8').replace(files.data, `${files.member}/data`);
    fs.writeFileSync(files.member, text);
    await assert.rejects(runToEnd(FETTLED, ['--config', files.member]), (error) => {
      assert.match(error.message, /exit 1\n/);
      assert.match(error.message, /fettled\.yaml\/data: Not a directory/);
      return true;
    });
  }),
);
