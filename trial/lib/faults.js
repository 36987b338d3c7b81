// The rest of the story: a model server that hangs (SIGSTOP: its port accepts, nothing answers), and
// a leader that is killed in the middle of a run. What the run did is counted outside Fettle: lines
// in a file, commands at HAProxy's socket, deliveries at the receiver.
'use strict';

const fs = require('fs');
const path = require('path');
const { execFileSync } = require('child_process');
const { CountedSocket } = require('./counted_socket.js');
const { HaproxyWatch } = require('./haproxy_watch.js');
const { request } = require('./http.js');
const { LIVE } = require('./members.js');

const HUNG = 'b';
const VICTIM = 'a';
const FACT_MS = 60000;
const LOOK_MS = 50;
const REACTION_MS = 200;

const round = (milliseconds) => Math.round(milliseconds * 10) / 10;

/** SIGSTOP: detected within interval + timeout × fall + 200 ms, out, back after SIGCONT. */
async function hang(trial, result, why) {
  const { bus, events, watch, timeline } = trial;
  const bound = LIVE.interval_ms + LIVE.timeout_ms * LIVE.fall + REACTION_MS;
  timeline.say('trial', `a model server hangs: to be seen within ${bound} ms`, 'bold');
  watch.pace(HaproxyWatch.FAST_MS);
  const stopped = trial.signalServer(HUNG, 'SIGSTOP');
  const down = await bus.until(`the quorum says that ${HUNG} is down`, FACT_MS, () =>
    events.first('verdict.changed', { node: HUNG, value: 'down' }, stopped),
  );
  const maint = await bus.until(`HAProxy says that ${HUNG} is in maintenance`, FACT_MS, () =>
    watch.changeTo(HUNG, 'maint', stopped),
  );
  watch.pace(HaproxyWatch.IDLE_MS);
  result.hang = {
    detected_ms: round(down.arrived - stopped),
    isolated_ms: round(maint.at - stopped),
  };
  if (result.hang.detected_ms > bound) {
    why.push(`the hang was seen after ${result.hang.detected_ms} ms, the bound is ${bound} ms`);
  }
  trial.signalServer(HUNG, 'SIGCONT');
  await bus.until(`${HUNG} is in service again`, FACT_MS, () =>
    events.first('node.admin_changed', { node: HUNG, value: 'in_service' }, maint.at),
  );
  timeline.calm();
}

/** Programs of the playbook: each adds a line to the file of effects; one waits for the trial. */
class Effects {
  constructor(folder) {
    this.folder = path.join(folder, 'bin');
    this.file = path.join(folder, 'effects');
    this.gate = path.join(folder, 'gate');
    fs.mkdirSync(this.folder);
    fs.writeFileSync(this.file, '');
    execFileSync('mkfifo', [this.gate]);
    const tell = `echo "$FETTLE_STEP $FETTLE_KEY" >> ${this.file}`;
    this.#program('mark', tell);
    this.#program('hold', `${tell}\nread line < ${this.gate}`);
  }

  /** The steps that acted, one entry for each act. */
  lines() {
    return fs.readFileSync(this.file, 'utf8').split('\n').filter(Boolean);
  }

  release() {
    fs.writeFileSync(this.gate, 'go\n');
  }

  #program(name, body) {
    fs.writeFileSync(path.join(this.folder, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  }
}

/** Asks until the answer is as wanted; there is no event for who leads. */
async function untilStatus(trial, member, what, wanted) {
  const end = performance.now() + FACT_MS;
  for (;;) {
    if (trial.bus.failure) throw trial.bus.failure;
    const answer = await request({ port: member.apiPort, path: '/v1/status', timeoutMs: 5000 })
      .then((one) => (one.status === 200 ? JSON.parse(one.body) : null))
      .catch(() => null);
    if (answer && wanted(answer)) return answer;
    if (performance.now() > end) throw new Error(`not within ${FACT_MS / 1000} s: ${what}`);
    await trial.bus.pass(LOOK_MS);
  }
}

const runOf = (trial, member, id) =>
  request({ port: member.apiPort, path: `/v1/runs/${id}`, timeoutMs: 5000 }).then((answer) =>
    JSON.parse(answer.body),
  );

async function applyPlaybook(trial, host, counted) {
  const file = path.join(trial.folder, 'heal.yaml');
  const program = (name) => path.join(trial.effects.folder, name);
  const text = trial.specText({ host: host.name, socket: counted.path });
  fs.writeFileSync(
    file,
    `${text}playbooks:
  - name: heal
    mode: enforce
    trigger: {verdict: down}
    steps:
      - {id: switch, action: traffic.isolate, timeout: 5s}
      - {id: before, action: exec.run, on: ${host.name}, input: {command: [${program('mark')}]}}
      - {id: hold, action: exec.run, on: ${host.name}, timeout: 2m, input: {command: [${program('hold')}]}}
      - {id: after, action: exec.run, on: ${host.name}, input: {command: [${program('mark')}]}}
      - {id: wait, action: wait.healthy, timeout: 5m}
      - {id: return, action: traffic.restore}
`,
  );
  await trial.fettle('apply', '-f', file);
}

/** kill -9 of the leader while a step of the run is under way on another host. */
async function leaderKilled(trial, result, why) {
  const { bus, events, timeline, receiver } = trial;
  const counted = new CountedSocket(trial.countedSocket, trial.haproxy.socket);
  await counted.listen();
  try {
    const { cluster } = await untilStatus(trial, trial.members[0], 'a leader', (s) => s.cluster.leader);
    const leader = trial.members.find((member) => member.name === cluster.leader);
    const host = trial.members.find((member) => member !== leader);
    timeline.say('trial', `the leader ${leader.name} dies in the middle of a run on ${host.name}`, 'bold');
    await applyPlaybook(trial, host, counted);
    const killed = trial.killServer(VICTIM);
    const { run, incident } = await bus.until('the run has begun', FACT_MS, () =>
      events.first('run.started', { node: VICTIM, value: 'heal' }, killed),
    );
    await untilStatus(trial, host, 'the run is at its held step', () =>
      trial.effects.lines().some((line) => line.startsWith('hold ')),
    );
    timeline.say('trial', `kill -9 of the leader ${leader.name}`, 'bold');
    await trial.processes.kill(leader.name).exit;
    await untilStatus(
      trial,
      host,
      'another leader',
      (s) => s.cluster.leader && s.cluster.leader !== leader.name,
    );
    const resumed = (await runOf(trial, host, run)).step;
    trial.effects.release();
    trial.startMember(leader);
    await trial.startServer(VICTIM);
    const finished = await bus.until('the run is over', FACT_MS, () =>
      events.first('run.finished', { run }, killed),
    );
    if (finished.value !== 'succeeded') why.push(`the run ${finished.value}: ${finished.reason}`);
    await bus.until(
      'the resolved alert, signed',
      FACT_MS,
      () => receiver.of(incident, 'resolved').length > 0,
    );
    result.leader_killed = { resumed_step: resumed, steps_repeated: repeats(trial, counted) };
    judge(trial, result.leader_killed, counted, why);
    timeline.calm();
  } finally {
    await counted.close();
  }
}

const COMMANDS = [/state maint/, /state ready/];

function repeats(trial, counted) {
  const lines = trial.effects.lines().map((line) => line.split(' ')[0]);
  const commands = COMMANDS.map((pattern) => Math.max(0, counted.count(pattern) - 1));
  return (
    lines.length -
    new Set(lines).size +
    commands.reduce((sum, one) => sum + one, 0) +
    trial.receiver.duplicates()
  );
}

function judge(trial, { resumed_step, steps_repeated }, counted, why) {
  const steps = new Set(trial.effects.lines().map((line) => line.split(' ')[0]));
  for (const step of ['before', 'hold', 'after']) {
    if (!steps.has(step)) why.push(`the step ${step} of the run left no line`);
  }
  for (const pattern of COMMANDS) {
    if (counted.count(pattern) === 0) why.push(`HAProxy never heard ${pattern.source}`);
  }
  if (resumed_step !== 'hold') why.push(`the next leader went on at ${resumed_step}, not at hold`);
  if (steps_repeated !== 0) why.push(`${steps_repeated} steps were repeated`);
}

module.exports = { hang, leaderKilled, Effects };
