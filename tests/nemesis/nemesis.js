// The nemesis: real members under faults, clients that compare-and-swap, and a judge of what the
// clients were told. docs/nemesis.md explains it. Start it by nemesis.sh, as ./dev nemesis does.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { parseArgs } = require('node:util');
const { BIN, Scene } = require('../e2e/support/scene.js');
const { request } = require('../../trial/lib/http.js');
const { Client } = require('./clients.js');
const { Cluster, CLOCK_SHIM } = require('./cluster.js');
const { History, Keys } = require('./history.js');
const { Rng } = require('./rng.js');
const { KINDS } = require('./faults.js');
const { Torment } = require('./torment.js');

const USAGE = `usage: ./dev nemesis [--minutes N] [--members 3|5] [--seed S] [--faults KIND,…]
                     [--reads linearizable|stale] [--output text|json]
  --minutes N      how long faults go on (3; fractions are fine, at least 0.2)
  --members N      3 or 5 (3)
  --seed S         what is done when; by chance if left out, and said
  --faults KIND,…  only these kinds, of
                   ${KINDS.join(' ')}
  --reads stale    clients take what one member knows: to see the judge say no
  --output json    the last line of stdout is one JSON object with the figures`;
const CLIENTS = 5;
const OPERATIONS_A_KEY = 200;
const ENDED_MS = 30000;
const TELL_MS = 20000;
const LOG_LINES = 12;
const SEED_MAX = 2 ** 32;
const CHECKER = path.join(BIN, 'fettle-linearizability');
const CHECKER_BYTES_MAX = 64 << 20;

/** A signal: ends whatever is waited for. */
class Interrupted extends Error {}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: 'string', default: process.env.FETTLE_NEMESIS_MINUTES || '3' },
        members: { type: 'string', default: '3' },
        seed: { type: 'string', default: String(Math.floor(Math.random() * SEED_MAX)) },
        faults: { type: 'string', default: KINDS.join(',') },
        reads: { type: 'string', default: 'linearizable' },
        output: { type: 'string', default: 'text' },
      },
    });
    const minutes = Number(values.minutes);
    const kinds = values.faults.split(',');
    const unknown = kinds.find((kind) => !KINDS.includes(kind));
    if (!(minutes >= 0.2 && minutes <= 10000)) throw new Error('--minutes is from 0.2 to 10000');
    if (!['3', '5'].includes(values.members)) throw new Error('--members is 3 or 5');
    if (!/^\d{1,15}$/.test(values.seed)) throw new Error('--seed is a whole number');
    if (unknown !== undefined) throw new Error(`--faults: no kind '${unknown}'`);
    if (!['linearizable', 'stale'].includes(values.reads))
      throw new Error('--reads is linearizable or stale');
    if (!['text', 'json'].includes(values.output)) throw new Error('--output is text or json');
    return {
      minutes,
      members: Number(values.members),
      seed: Number(values.seed),
      kinds,
      reads: values.reads,
      json: values.output === 'json',
    };
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

/** What is missing for a run; undefined: nothing. */
function missing() {
  if (process.env.FETTLE_NEMESIS_MOUNTS !== 'own') return 'start it by nemesis.sh';
  const programs = ['fettled', 'fettle'].map((name) => path.join(BIN, name));
  const file = [...programs, CHECKER, CLOCK_SHIM].find((one) => !fs.existsSync(one));
  return file && `${file} is missing: build first`;
}

/** The figures of a run that has not begun. */
function emptyResult({ minutes, members, seed }) {
  return {
    ok: false,
    minutes,
    members,
    seed,
    operations: { ok: 0, failed: 0, unknown: 0 },
    keys: 0,
    faults: {},
    violations: 0,
    longest_unavailable_ms: 0,
    longest_recovery_ms: 0,
    longest_return_ms: 0,
    asked_again: 0,
    ended_on_full_disk: 0,
    handed_over: 0,
    why: [],
  };
}

/** Reads every key from one member after the other: what was acknowledged must be there. */
async function readAll(scene, cluster, history, keys) {
  const reader = new Client({ number: 'final', cluster, history, keys, rng: new Rng(0) });
  for (const [i, key] of keys.all.entries()) {
    reader.member = cluster.names[i % cluster.names.length];
    const { outcome, output } = await reader.ask(key, 'read', null);
    if (scene.bus.failure) throw scene.bus.failure;
    if (outcome !== 'ok') throw new Error(`a final read of ${key}: ${JSON.stringify(output)}`);
  }
}

/** Each member by itself has the same values. */
async function compareAll(scene, cluster, keys) {
  for (const key of keys.all) {
    const answers = await Promise.all(
      cluster.names.map(async (name) => {
        const where = { socketPath: cluster.socket(name), path: `/v1/kv/${key}?consistency=stale` };
        const { status, body } = await request(where);
        const said = JSON.parse(body);
        return status === 404 ? '404' : JSON.stringify([status, said.value, said.revision]);
      }),
    );
    if (scene.bus.failure) throw scene.bus.failure;
    if (new Set(answers).size > 1) {
      const each = cluster.names.map((name, i) => `${name} ${answers[i]}`);
      throw new Error(`members differ on ${key}: ${each.join('; ')}`);
    }
  }
}

function checkHistory(file, result) {
  const checker = spawnSync(CHECKER, ['--output', 'json', file], { maxBuffer: CHECKER_BYTES_MAX });
  if (checker.status !== 0 && checker.status !== 1) {
    const how = checker.error ?? checker.status;
    result.why.push(`fettle-linearizability: ${checker.stderr} (${how})`);
    return;
  }
  const judged = JSON.parse(checker.stdout);
  result.violations = judged.violations;
  if (judged.gave_up > 0) result.why.push(`${judged.gave_up} keys could not be judged in bounds`);
  if (judged.violations > 0) result.why.push(`${judged.violations} keys are not linearizable`);
  result.counterexamples = judged.wrong.map(({ key, text }) => `key ${key}: ${text}`);
}

/** Clients that ask until `stop()`, which waits for their last answers. */
function startClients(scene, { rng, ...setting }) {
  let stopped = false;
  const running = Array.from({ length: CLIENTS }, (_, number) =>
    new Client({ number, ...setting, rng: rng.split(), stopped: () => stopped })
      .run()
      .catch((error) => scene.bus.fail(error)),
  );
  return async () => {
    stopped = true;
    await Promise.all(running);
  };
}

async function play(scene, options, result, say) {
  const rng = new Rng(options.seed);
  say(`${options.members} members start, seed ${options.seed}`);
  const cluster = await Cluster.make(scene, options.members);
  const file = path.join(scene.folder, 'history.jsonl');
  const history = new History(file, scene.bus);
  const keys = new Keys(options.seed, OPERATIONS_A_KEY);
  const torment = new Torment({
    cluster,
    bus: scene.bus,
    rng: rng.split(),
    say,
    kinds: options.kinds,
    acknowledged: () => history.acknowledged,
  });
  const figures = () => {
    const { operations, longestUnavailableMs } = history;
    Object.assign(result, { operations, keys: keys.all.length, faults: torment.counts });
    result.longest_unavailable_ms = Math.round(longestUnavailableMs);
    result.longest_recovery_ms = Math.round(torment.recoveredMsMax);
    result.longest_return_ms = Math.round(torment.returnedMsMax);
    result.asked_again = history.askedAgain;
    result.ended_on_full_disk = cluster.endedOnFullDisk;
    result.handed_over = cluster.membership.handedOver;
  };
  const { reads } = options;
  const stop = startClients(scene, { cluster, history, keys, reads, rng });
  const telling = setInterval(() => say(tell(history, keys)), TELL_MS);
  try {
    await torment.run(options.minutes * 60000);
    await stop();
    say('all is healed; members must agree');
    const { leader, commit_index: index } = await cluster.settled();
    say(`${leader} leads, index ${index} everywhere; reading ${keys.all.length} keys`);
    await readAll(scene, cluster, history, keys);
    await cluster.settled();
    await compareAll(scene, cluster, keys);
  } finally {
    clearInterval(telling);
    scene.bus.fail(new Error('over')); // what still waits ends
    await stop();
    history.close();
    figures();
    say('judging the history');
    checkHistory(file, result);
  }
}

function tell(history, keys) {
  const { ok, failed, unknown } = history.operations;
  const gap = (history.longestUnavailableMs / 1000).toFixed(1);
  return (
    `${ok} operations, ${failed} failed, ${unknown} unknown, ${keys.all.length} keys; ` +
    `longest without a write ${gap} s`
  );
}

/** Logs, history and data stay, for who looks into it. */
function keep(scene) {
  const data = path.join(scene.folder, 'data');
  const copy = path.join(scene.folder, 'data-kept'); // the mounts go with the namespace
  if (fs.existsSync(data)) fs.cpSync(data, copy, { recursive: true });
  for (const tail of scene.processes.tails(LOG_LINES)) console.error(tail);
}

async function end(scene, keepFolder) {
  const timer = setTimeout(() => process.exit(1), ENDED_MS);
  await scene.processes.stopAll();
  for (const close of scene.closers.reverse()) await close();
  clearTimeout(timer);
  if (!keepFolder) fs.rmSync(scene.folder, { recursive: true, force: true });
}

function report(result, print) {
  for (const text of result.counterexamples ?? []) console.error(text);
  for (const reason of result.why) console.error(`nemesis: ${reason}`);
  const { operations, keys, violations } = result;
  print(`operations ${JSON.stringify(operations)}, ${keys} keys, ${violations} violations`);
  print(`faults ${JSON.stringify(result.faults)}`);
  print(
    `after healing a write within ${result.longest_recovery_ms} ms, ` +
      `all back within ${result.longest_return_ms} ms`,
  );
  print(`longest without a write ${result.longest_unavailable_ms} ms`);
  print(result.ok ? 'Nothing was lost.' : 'NOT all was well.');
}

async function main() {
  const options = readOptions();
  const print = options.json ? console.error : console.log;
  const began = performance.now();
  const say = (text) =>
    print(`${((performance.now() - began) / 1000).toFixed(1).padStart(7)}  ${text}`);
  const result = emptyResult(options);
  const lacks = missing();
  if (lacks) {
    console.error(`nemesis: ${lacks}`);
    process.exit(2);
  }
  const scene = new Scene();
  let interrupted = null;
  process.on('exit', () => scene.processes.killAllNow());
  for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) {
    process.on(signal, () => {
      if (interrupted) process.exit(code);
      interrupted = code;
      scene.bus.fail(new Interrupted(`ended by ${signal}`));
    });
  }
  try {
    await play(scene, options, result, say);
  } catch (error) {
    const { failure } = scene.bus;
    result.why.push(failure instanceof Interrupted ? failure.message : error.message);
  }
  result.ok = result.why.length === 0;
  const kept = !result.ok && !interrupted;
  if (kept) keep(scene);
  report(result, print);
  await end(scene, kept);
  if (kept) console.error(`nemesis: logs and history are kept in ${scene.folder}`);
  const { counterexamples, ...figures } = result;
  if (options.json) console.log(JSON.stringify(figures));
  process.exit(interrupted ?? (result.ok ? 0 : 1));
}

main();
