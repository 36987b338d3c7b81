// The trial: a model server dies, the traffic moves, someone is told. docs/trial.md explains it.
// Usage: node trial.js [--once] [--output text|json] [--keep] [--bin FOLDER]
'use strict';

const path = require('path');
const readline = require('readline');
const { parseArgs } = require('util');
const { Timeline } = require('./lib/timeline.js');
const { Trial, MEMBERS } = require('./lib/trial.js');
const { hang, leaderKilled } = require('./lib/faults.js');
const { control, heal, emptyResult } = require('./lib/story.js');

const USAGE = `usage: ./dev run [--once] [--output text|json] [--keep]
  --once          tell the story and exit: 0 only if all of it held
  --output json   the last line of stdout is one JSON object with the figures
  --keep          keep the temporary folder with files and logs`;
const LOG_LINES = 12;
const LOAD_REPORT_MS = 1000;
const DOWN_FOR_MS = 8000;

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        once: { type: 'boolean', default: false },
        output: { type: 'string', default: 'text' },
        keep: { type: 'boolean', default: false },
        bin: { type: 'string', default: process.env.FETTLE_BIN_DIR || 'build/release/bin' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    if (!['text', 'json'].includes(values.output)) throw new Error('--output is text or json');
    if (values.output === 'json' && !values.once) throw new Error('--output json needs --once');
    return values;
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

/** A signal, or q: ends whatever the trial waits for. */
class Interrupted extends Error {
  constructor(signal, exitCode) {
    super(`ended by ${signal}`);
    this.exitCode = exitCode;
  }
}

function interruptOn(trial, once) {
  const codes = { SIGINT: once ? 130 : 0, SIGTERM: 143, SIGHUP: 129 };
  for (const [signal, code] of Object.entries(codes)) {
    process.on(signal, () => {
      if (trial.bus.failure) process.exit(code);
      trial.bus.fail(new Interrupted(signal, code));
    });
  }
  process.stdout.on('error', () => trial.bus.fail(new Interrupted('a closed output', 141)));
  process.on('exit', () => trial.endNow());
}

async function tellOnce(trial, result) {
  await trial.start();
  await control(trial, result, result.why);
  await heal(trial, result, result.why);
  await hang(trial, result, result.why);
  await leaderKilled(trial, result, result.why);
}

/** The story once, then whatever the keys ask for, until somebody leaves. */
async function tellAndStay(trial, result) {
  await trial.start();
  reportLoad(trial);
  await heal(trial, result, result.why);
  if (process.stdin.isTTY) listenToKeys(trial);
  trial.timeline.say(
    'trial',
    process.stdin.isTTY ? 'k kills a server, q or Ctrl-C leaves' : 'Ctrl-C leaves',
    'bold',
  );
  await trial.bus.until('somebody leaves', 2 ** 31 - 1, () => false);
}

/** Once a second, if requests failed in it. */
function reportLoad(trial) {
  const timer = setInterval(() => {
    const since = performance.now() - LOAD_REPORT_MS;
    const failed = trial.load.failed(since).length;
    if (failed === 0) return;
    trial.timeline.say(
      'client',
      `${failed} of ${trial.load.started(since).length} requests failed in the last second`,
      'red',
    );
  }, LOAD_REPORT_MS);
  timer.unref();
}

function listenToKeys(trial) {
  readline.emitKeypressEvents(process.stdin);
  process.stdin.setRawMode(true);
  process.on('exit', () => process.stdin.setRawMode(false));
  let busy = false;
  let next = 'b';
  process.stdin.on('keypress', (_, key) => {
    if (key.name === 'q' || (key.ctrl && key.name === 'c')) {
      return trial.bus.fail(new Interrupted('the keyboard', 0));
    }
    if (key.name !== 'k' || busy) return;
    busy = true;
    const victim = next;
    next = victim === 'a' ? 'b' : 'a';
    trial.killServer(victim);
    trial.bus
      .pass(DOWN_FOR_MS)
      .then(() => trial.startServer(victim))
      .then(() => trial.timeline.calm())
      .catch((error) => trial.bus.fail(error))
      .finally(() => {
        busy = false;
      });
  });
}

function report(trial, result, options) {
  const exitCode = result.ok ? 0 : 1;
  if (exitCode !== 0) {
    for (const tail of trial.processes.tails(LOG_LINES)) console.error(tail);
    for (const reason of result.why) console.error(`trial: ${reason}`);
  }
  if (options.output === 'json') {
    console.log(JSON.stringify(result));
  } else if (options.once) {
    console.log(result.ok ? 'The trial held.' : 'The trial did NOT hold.');
  }
  return exitCode;
}

async function main() {
  const options = readOptions();
  const began = performance.now();
  const timeline = new Timeline(options.output === 'json' ? process.stderr : process.stdout);
  const binFolder = path.resolve(options.bin);
  const trial = new Trial({ binFolder, keep: options.keep, timeline });
  const result = emptyResult(MEMBERS.length);
  interruptOn(trial, options.once);
  let exitCode = null;
  try {
    await (options.once ? tellOnce : tellAndStay)(trial, result);
  } catch (error) {
    if (error instanceof Interrupted) exitCode = error.exitCode;
    result.why.push(error.message);
  }
  result.ok = result.why.length === 0;
  result.duration_s = Math.round((performance.now() - began) / 100) / 10;
  exitCode ??= report(trial, result, options);
  await trial.end();
  if (options.keep) console.error(`kept: ${trial.folder}`);
  process.exit(exitCode);
}

main();
