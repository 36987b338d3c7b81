// What a member tells a Prometheus server while a backend dies and comes back, and what
// `fettle status --check` tells a monitoring system meanwhile.
'use strict';

const assert = require('node:assert');
const { execFile, spawn } = require('node:child_process');
const fs = require('node:fs');
const { test } = require('node:test');
const { request } = require('../../trial/lib/http.js');
const { Scene } = require('./support/scene.js');
const { Group, NAMES } = require('./support/group.js');
const {
  FETTLE,
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

const CHECK = { ok: 0, warning: 1, critical: 2, unknown: 3 };

async function scrape(where) {
  const answer = await request({ ...where, path: '/metrics' });
  assert.strictEqual(answer.status, 200);
  assert.strictEqual(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  return answer.body;
}

/** The value of the series as it is written, `name{label="value"}`. */
function value(text, series) {
  const line = text.split('\n').find((one) => one.startsWith(`${series} `));
  assert.ok(line, `no series ${series} in\n${text}`);
  return Number(line.slice(series.length + 1));
}

/** Rejects with what promtool finds wrong. */
function promtool(text) {
  return new Promise((resolve, reject) => {
    const tool = spawn('promtool', ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] });
    let said = '';
    for (const out of [tool.stdout, tool.stderr]) out.on('data', (part) => (said += part));
    tool.once('error', reject);
    tool.once('close', (code) => {
      if (code === 0 && said === '') return resolve();
      reject(new Error(`promtool: exit ${code}\n${said}`));
    });
    tool.stdin.end(text);
  });
}

/** {code, said} of `fettle status --check` on the socket. */
function check(socket) {
  return new Promise((resolve) => {
    execFile(FETTLE, ['--socket', socket, 'status', '--check'], (error, stdout) =>
      resolve({ code: error ? error.code : 0, said: stdout }),
    );
  });
}

test('--check cannot tell while no quorum has a view', { timeout: 60000 }, () =>
  Scene.play(async (scene) => {
    const files = await smallestFiles(scene);
    const blind = 'engine: generic\n    probes: [{name: live, kind: http, path: /not-there}]';
    scene.write(
      'conf.d/chat.yaml',
      fs.readFileSync(files.spec, 'utf8').replace('engine: generic', blind),
    );
    await startAll(scene, files);
    await startMember(scene, files);
    const said = await check(files.socket);
    assert.strictEqual(said.code, CHECK.unknown);
    assert.strictEqual(said.said, 'UNKNOWN: no quorum has a view yet of chat\n');
  }));

test('the numbers follow a backend that dies and comes back; --check follows too',
  { timeout: 200000 },
  () =>
    Scene.play(async (scene) => {
      const files = await smallestFiles(scene);
      const { watch } = await startAll(scene, files);
      assert.strictEqual((await check(files.socket)).code, CHECK.unknown, 'nobody answers');
      await startMember(scene, files);
      await untilSays(files, HEALTHY_MS, allHealthy, 'status');
      const ok = await check(files.socket);
      assert.deepStrictEqual([ok.code, ok.said.slice(0, 3)], [CHECK.ok, 'OK:']);

      const before = await scrape({ port: files.api });
      await promtool(before);
      assert.strictEqual(value(before, 'fettle_ready'), 1);
      assert.strictEqual(value(before, 'fettle_raft_is_leader'), 1);
      assert.strictEqual(value(before, 'fettle_service_nodes_healthy{service="chat"}'), 2);
      assert.strictEqual(value(before, 'fettle_incidents_opened_total'), 0);
      assert.ok(value(before, 'fettle_probe_looks_total{kind="http",outcome="pass"}') > 0);
      assert.ok(value(before, 'fettle_raft_persist_seconds_count') > 0);
      assert.ok(value(before, 'process_resident_memory_bytes') > 1e6);
      const started = value(before, 'process_start_time_seconds');
      assert.ok(Math.abs(Date.now() / 1000 - started) < 120, 'it started just now');

      const killed = performance.now();
      await scene.processes.kill('server-chat-a').exit;
      await scene.bus.until('HAProxy holds chat-a in maintenance', ISOLATED_MS, () =>
        watch.changeTo('chat-a', 'maint', killed),
      );
      await untilSays(
        files,
        ISOLATED_MS,
        (said) => said.runs[0]?.state === 'succeeded',
        'runs',
      );
      const down = await scrape({ socketPath: files.socket });
      await promtool(down);
      const node = 'service="chat",node="chat-a"';
      assert.strictEqual(value(down, `fettle_node_verdict{${node},verdict="down"}`), 1);
      assert.strictEqual(value(down, `fettle_node_verdict{${node},verdict="healthy"}`), 0);
      assert.strictEqual(value(down, `fettle_node_admin{${node},admin="isolated"}`), 1);
      assert.strictEqual(value(down, 'fettle_service_nodes_healthy{service="chat"}'), 1);
      assert.strictEqual(value(down, 'fettle_incidents_opened_total'), 1);
      assert.strictEqual(value(down, 'fettle_incidents_open'), 1);
      assert.strictEqual(value(down, 'fettle_incident_detection_seconds_count'), 1);
      assert.strictEqual(
        value(down, 'fettle_runs_finished_total{mode="enforce",state="succeeded"}'),
        1,
      );
      assert.strictEqual(value(down, 'fettle_tasks_finished_total{result="done"}'), 1);
      const refused = 'fettle_probe_looks_total{kind="http",outcome="refused"}';
      assert.ok(value(down, refused) + value(down, refused.replace('http', 'tcp')) > 0);
      const warning = await check(files.socket);
      assert.deepStrictEqual([warning.code, warning.said.slice(0, 8)], [CHECK.warning, 'WARNING:']);

      await scene.processes.kill('server-chat-b').exit;
      await untilSays(
        files,
        ISOLATED_MS,
        (said) => said.services[0].verdict === 'down',
        'status',
      );
      const critical = await check(files.socket);
      assert.strictEqual(critical.code, CHECK.critical);
      assert.match(critical.said, /^CRITICAL: down: chat; 2 open incidents\n/);

      for (const { name, port } of files.servers) await scene.startModelServer(name, port);
      await untilSays(
        files,
        RESTORED_MS,
        (said) => said.incidents.every((one) => one.resolved_at),
        'incidents',
      );
      const after = await scrape({ port: files.api });
      await promtool(after);
      assert.strictEqual(value(after, 'fettle_incidents_resolved_total'), 2);
      assert.strictEqual(value(after, 'fettle_incidents_open'), 0);
      assert.strictEqual(value(after, 'fettle_incident_recovery_seconds_count'), 2);
      assert.strictEqual((await check(files.socket)).code, CHECK.ok);
      await ask(files, 'freeze', '--reason', 'a test');
      assert.strictEqual(value(await scrape({ port: files.api }), 'fettle_frozen'), 1);
      assert.match((await check(files.socket)).said, /^WARNING: 0 open incidents; frozen\n/);
    }),
);

test('a member that is cut off still answers a scrape, and says so', { timeout: 200000 }, () =>
  Scene.play(async (scene) => {
    const group = await Group.start(scene);
    await group.untilHealthy('m1');
    const left = await group.leaderBy('m1');
    const where = { port: group.member(left).apiPort };
    const others = NAMES.filter((name) => name !== left);
    const before = await scrape(where);
    await promtool(before);
    for (const peer of others) {
      assert.strictEqual(value(before, `fettle_peer_up{peer="${peer}"}`), 1);
    }
    assert.strictEqual(value(before, 'fettle_raft_leader_silence_seconds'), 0);
    await group.kill(...others);
    await group.untilGet(
      left,
      '/v1/status?consistency=stale',
      ISOLATED_MS,
      (said) => said.cluster.leader === null,
    );
    const alone = await scrape(where);
    await promtool(alone);
    assert.strictEqual(value(alone, 'fettle_raft_has_leader'), 0);
    assert.strictEqual(value(alone, 'fettle_ready'), 0);
    assert.ok(value(alone, 'fettle_raft_leader_silence_seconds') > 0);
    assert.strictEqual(value(alone, 'fettle_service_nodes{service="chat"}'), 2);
    for (const peer of others) {
      assert.strictEqual(value(alone, `fettle_peer_up{peer="${peer}"}`), 0);
    }
    assert.strictEqual((await check(group.member(left).socket)).code, CHECK.unknown);
  }),
);
