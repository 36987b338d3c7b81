// exec.run on real parts: a program heals what a playbook found, and dies with its daemon.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { Scene } = require('./support/scene.js');
const {
  HEALTHY_MS,
  ISOLATED_MS,
  RESTORED_MS,
  smallestFiles,
  startAll,
  startMember,
  untilSays,
  allHealthy,
} = require('./support/standalone.js');

/** The smallest files, a member called `box` that lets `heal` be run, and the script itself. */
async function healingFiles(scene, steps, script) {
  const files = await smallestFiles(scene);
  const heal = path.join(scene.folder, 'heal');
  fs.writeFileSync(heal, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const member = fs.readFileSync(files.member, 'utf8');
  fs.writeFileSync(
    files.member,
    `node_name: box\n${member.replace('allow: {', `allow: {exec: [${scene.folder}/*], `)}`,
  );
  fs.appendFileSync(
    files.spec,
    `playbooks:
  - name: heal
    mode: enforce
    trigger: {verdict: down, services: [chat]}
    steps:
      - {id: switch, action: traffic.isolate, timeout: 5s, retry: {count: 2, delay: 200ms}}
      - {id: heal, action: exec.run, on: box, input: {command: [${heal}, "\${node.name}"]}, timeout: 60s${steps}
`,
  );
  return files;
}

const healRun = (said) => said.runs.find((run) => run.playbook === 'heal');
const exists = (file) => () => fs.existsSync(file) && fs.readFileSync(file, 'utf8').endsWith('\n');
const isGone = (pid) => {
  try {
    return /^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
};

test('a program heals the node, told what it is for, and traffic comes back', { timeout: 200000 }, () =>
  Scene.play(async (scene) => {
    const told = path.join(scene.folder, 'told');
    const files = await healingFiles(
      scene,
      `}
      - {id: back, action: wait.healthy, timeout: 60s}
      - {id: return, action: traffic.restore}`,
      `echo "$1 $FETTLE_NODE $FETTLE_SERVICE $FETTLE_STEP $FETTLE_KEY" >>${told}; echo healed`,
    );
    await startAll(scene, files);
    await startMember(scene, files);
    await untilSays(files, HEALTHY_MS, allHealthy, 'status');
    await scene.processes.kill('server-chat-a').exit;
    await untilSays(files, ISOLATED_MS, () => exists(told)(), 'runs');
    assert.match(fs.readFileSync(told, 'utf8'), /^chat-a chat-a chat heal 1\/\d+\/1\/1@box\n$/);
    await scene.startModelServer('chat-a', files.servers[0].port);
    const done = await untilSays(files, RESTORED_MS, (said) => healRun(said).state === 'succeeded', 'runs');
    const step = healRun(done).steps[1];
    assert.strictEqual(step.tasks[0].host, 'box');
    assert.strictEqual(step.tasks[0].result, 'exit code 0: healed');
  }),
);

test('kill -9 of the daemon takes the program along; it is in doubt and not run again',
  { timeout: 200000 },
  () =>
    Scene.play(async (scene) => {
      const ran = path.join(scene.folder, 'ran');
      const files = await healingFiles(
        scene,
        ', retry: {count: 3, delay: 100ms}}',
        `sleep 1000 &\necho "$$ $!" >>${ran}\nwait`,
      );
      await startAll(scene, files);
      await startMember(scene, files);
      await untilSays(files, HEALTHY_MS, allHealthy, 'status');
      await scene.processes.kill('server-chat-a').exit;
      await untilSays(files, ISOLATED_MS, exists(ran), 'runs');
      const pids = fs.readFileSync(ran, 'utf8').trim().split(' ');
      assert.ok(!pids.some(isGone), 'the program and its child run');

      await scene.processes.kill('fettled').exit;
      const until = performance.now() + 5000;
      while (!pids.every(isGone) && performance.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      assert.ok(pids.every(isGone), 'the whole group went with the daemon');

      await startMember(scene, files);
      const said = await untilSays(files, ISOLATED_MS, (now) => healRun(now)?.state === 'failed', 'runs');
      const step = healRun(said).steps[1];
      assert.strictEqual(step.attempt, 1);
      assert.strictEqual(step.tasks[0].state, 'in_doubt');
      assert.strictEqual(fs.readFileSync(ran, 'utf8').trim().split('\n').length, 1, 'it ran once');
    }),
);
