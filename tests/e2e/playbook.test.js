// An operator's own playbook on real parts: its steps, its texts, and what observe only notes down.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const { test } = require('node:test');
const { Scene } = require('./support/scene.js');
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

const playbook = (mode) => `playbooks:
  - name: replace
    mode: ${mode}
    trigger: {verdict: down, services: [chat]}
    steps:
      - {id: switch, action: traffic.isolate, timeout: 5s, retry: {count: 2, delay: 200ms}}
      - {id: tell, action: notify.send, input: {receiver: oncall, severity: warning, text: "\${node.name} is out: \${incident.reason}"}, on_failure: continue}
      - {id: back, action: wait.healthy, timeout: 60s}
      - {id: return, action: traffic.restore}
`;

const runsOf = (said, name) => said.runs.filter((run) => run.playbook === name);

test("an operator's playbook isolates, tells in its own words, waits and restores",
  { timeout: 200000 },
  () =>
    Scene.play(async (scene) => {
      const files = await smallestFiles(scene);
      fs.appendFileSync(files.spec, playbook('enforce'));
      const { watch, receiver } = await startAll(scene, files);
      await startMember(scene, files);
      await untilSays(files, HEALTHY_MS, allHealthy, 'status');
      const killed = performance.now();
      await scene.processes.kill('server-chat-a').exit;
      await scene.bus.until('HAProxy holds chat-a in maintenance', ISOLATED_MS, () =>
        watch.changeTo('chat-a', 'maint', killed),
      );
      await scene.bus.until("the playbook's own text", ISOLATED_MS, () =>
        receiver.of(1, 'firing').some((one) => /chat-a is out: 1 of 1 observers/.test(one.text)),
      );
      const waiting = await untilSays(
        files,
        ISOLATED_MS,
        (said) => runsOf(said, 'replace')[0]?.step === 'back',
        'runs',
      );
      assert.strictEqual(waiting.runs.length, 1, 'the built-in playbook stands back');

      await scene.startModelServer('chat-a', files.servers[0].port);
      const done = await untilSays(
        files,
        RESTORED_MS,
        (said) => runsOf(said, 'replace')[0].state !== 'running' && runsOf(said, 'replace')[0].state !== 'waiting',
        'runs',
      );
      const [run] = runsOf(done, 'replace');
      assert.strictEqual(run.state, 'succeeded');
      assert.deepStrictEqual(
        run.steps.map((step) => [step.id, step.state]),
        [['switch', 'succeeded'], ['tell', 'succeeded'], ['back', 'succeeded'], ['return', 'succeeded']],
      );
      assert.ok(watch.changeTo('chat-a', 'ready', killed));
      const [incident] = (await ask(files, 'incidents')).incidents;
      assert.ok(incident.resolved_at && incident.mttr_ms > 0);
    }),
);

test('a playbook in observe notes what it would do; the built-in one acts', { timeout: 200000 }, () =>
  Scene.play(async (scene) => {
    const files = await smallestFiles(scene);
    fs.appendFileSync(files.spec, playbook('observe'));
    const { watch } = await startAll(scene, files);
    await startMember(scene, files);
    await untilSays(files, HEALTHY_MS, allHealthy, 'status');
    const killed = performance.now();
    await scene.processes.kill('server-chat-b').exit;
    await scene.bus.until('HAProxy holds chat-b in maintenance', ISOLATED_MS, () =>
      watch.changeTo('chat-b', 'maint', killed),
    );
    const { runs } = await ask(files, 'runs');
    const [observed] = runsOf({ runs }, 'replace');
    assert.strictEqual(observed.mode, 'observe');
    assert.ok(observed.steps.every((step) => step.tasks.length === 0), 'no host was asked to act');
    assert.strictEqual(runsOf({ runs }, 'builtin-isolate').length, 1);
  }),
);
