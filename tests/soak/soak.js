// The soak: does a member stay as large as it is, while it looks at thousands of nodes and nodes
// flap? docs/soak.md explains it.
// Usage: node soak.js [--minutes N] [--nodes N] [--flap-every S] [--samples FILE]
//                     [--output text|json] [--bin FOLDER]
'use strict';

const fs = require('fs');
const path = require('path');
const { parseArgs } = require('util');
const { Sampler } = require('./sampler.js');
const { Setting } = require('./setting.js');
const { windowFigures, rssBound, checkWindow, median, round } = require('./judge.js');

const USAGE = `usage: ./dev soak [--minutes N] [--nodes N] [--flap-every S] [--samples FILE]
                  [--output text|json]
  --minutes N      how long, without the start (10; fractions are fine, at least 0.5)
  --nodes N        nodes that are looked at once a second (2000; from 20 to 9000)
  --flap-every S   seconds between two kills of a node (5)
  --samples FILE   what was sampled every second, as CSV
  --output json    the last line of stdout is one JSON object with the figures`;
const WARM_UP_SHARE = 0.1;
const CALM_SHARE = 0.25;
const FLAPS_A_NODE = 3; // more in one hour, and Fettle rightly holds the node back for minutes
const FLAPPING_MIN = 4;
const TELL_MS = 30000;
const ALERTS_MS = 20000;
const LOG_LINES = 8;

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: 'string', default: '10' },
        nodes: { type: 'string', default: '2000' },
        'flap-every': { type: 'string', default: '5' },
        samples: { type: 'string' },
        output: { type: 'string', default: 'text' },
        bin: { type: 'string', default: process.env.FETTLE_BIN_DIR || 'build/release/bin' },
      },
    });
    const within = (name, low, high) => {
      const number = Number(values[name]);
      if (number >= low && number <= high) return number;
      throw new Error(`--${name} is a number from ${low} to ${high}`);
    };
    if (!['text', 'json'].includes(values.output)) throw new Error('--output is text or json');
    return {
      minutes: within('minutes', 0.5, 100000),
      nodes: Math.floor(within('nodes', 20, 9000)),
      flapEveryMs: within('flap-every', 0.2, 3600) * 1000,
      samples: values.samples,
      json: values.output === 'json',
      binFolder: path.resolve(values.bin),
    };
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

function plan({ minutes, nodes, flapEveryMs }) {
  const all = minutes * 60000;
  const warmUpMs = all * WARM_UP_SHARE;
  const calmMs = all * CALM_SHARE;
  const flapMs = all - warmUpMs - calmMs;
  const flaps = Math.floor(flapMs / flapEveryMs);
  const flapping = Math.max(FLAPPING_MIN, Math.ceil((1 + flaps) / FLAPS_A_NODE));
  if (flapping > nodes / 2) throw new Error(`${flaps} flaps need more than ${nodes} nodes`);
  return { warmUpMs, calmMs, flapMs, flaps, flapping };
}

/** Lets a window pass; `during` runs within it, and the window lasts until it is done. */
async function measure(setting, sampler, durationMs, during = async () => {}) {
  const before = await setting.counts();
  const from = performance.now();
  await Promise.all([setting.bus.pass(durationMs), during()]);
  const after = await setting.counts();
  const to = performance.now();
  return windowFigures(sampler.between(from, to), before, after, (to - from) / 1000);
}

/** Kills a node every so often, whether or not the one before is back, from the `first`th on. */
async function flap(setting, first, flaps, everyMs, why) {
  const done = [];
  const began = performance.now();
  for (let i = 0; i < flaps; i += 1) {
    await setting.bus.pass(Math.max(0, began + i * everyMs - performance.now()));
    done.push(
      setting.flap(first + i).catch((error) => {
        if (setting.bus.failure) throw error;
        why.push(`flap ${first + i}: ${error.message}`);
        return null;
      }),
    );
  }
  return (await Promise.all(done)).filter((one) => one !== null);
}

/** Different delivery ids that came with this status. */
function idsOf(receiver, status) {
  const such = receiver.deliveries.filter((one) => one.status === status);
  return new Set(such.map((one) => one.id)).size;
}

function flapFigures(wanted, seen, receiver) {
  const of = (key) => seen.map((one) => one[key]);
  return {
    done: wanted,
    seen: seen.length,
    isolated_ms_median: seen.length ? round(median(of('isolated_ms'))) : null,
    isolated_ms_max: seen.length ? round(Math.max(...of('isolated_ms'))) : null,
    restored_ms_median: seen.length ? round(median(of('restored_ms'))) : null,
    firing: idsOf(receiver, 'firing'),
    resolved: idsOf(receiver, 'resolved'),
  };
}

async function soak(setting, options, result, say) {
  const { why } = result;
  const parts = plan(options);
  const began = performance.now();
  say(`${setting.steady} steady nodes and ${setting.flapping} that flap; starting`);
  await setting.start();
  const sampler = new Sampler(setting.member.pid, setting.dataDir);
  sampler.start();
  const telling = setInterval(() => say(tell(sampler.samples.at(-1))), TELL_MS);
  try {
    const healthy = performance.now();
    result.start = { seconds: round((healthy - began) / 1000), cpu_s: sampler.samples[0].cpu_s };
    say(`all are healthy; warming up for ${round(parts.warmUpMs / 1000)} s`);
    const warmUp = setting.bus.pass(parts.warmUpMs);
    const seen = await flap(setting, 0, 1, 0, why);
    await warmUp;
    say(`calm: ${round(parts.calmMs / 1000)} s without a fault`);
    result.calm = await measure(setting, sampler, parts.calmMs);
    const index = setting.newestIndex();
    say(`flaps: ${parts.flaps}, one every ${options.flapEveryMs / 1000} s`);
    result.flapping = await measure(setting, sampler, parts.flapMs, async () => {
      seen.push(...(await flap(setting, 1, parts.flaps, options.flapEveryMs, why)));
    });
    await untilAlerted(setting, 1 + parts.flaps, why);
    result.flaps = flapFigures(1 + parts.flaps, seen, setting.receiver);
    result.false_verdicts = setting.falseVerdicts(healthy).length;
    sampler.stop();
    const log = await setting.logAfter(index);
    result.per_flap = {
      rss_kib: round(result.flapping.rss_growth_kib / (0.8 * parts.flaps), 2),
      log_entries: round(log.entries / parts.flaps),
      log_bytes: Math.round(log.bytes / parts.flaps),
      log_memory_kib: round(log.memory / 1024 / parts.flaps, 2),
    };
  } finally {
    clearInterval(telling);
    sampler.stop();
    if (options.samples) fs.writeFileSync(options.samples, sampler.csv());
  }
  check(result, setting.steady, parts.flaps);
}

function untilAlerted(setting, flaps, why) {
  return setting.bus
    .until('every resolved alert', ALERTS_MS, () => idsOf(setting.receiver, 'resolved') >= flaps)
    .catch((error) => {
      if (setting.bus.failure) throw error;
      why.push(error.message);
    });
}

function check(result, nodes, flaps) {
  const { why, calm, flapping } = result;
  calm.rss_bound_kib = rssBound(calm.seconds, 0);
  flapping.rss_bound_kib = rssBound(flapping.seconds, flaps);
  checkWindow('calm', calm, nodes, why);
  checkWindow('flapping', flapping, nodes, why);
  if (result.false_verdicts > 0)
    why.push(`${result.false_verdicts} verdicts or incidents against nodes that never failed`);
  const { done, firing, resolved } = result.flaps;
  if (firing !== done || resolved !== done)
    why.push(`${done} flaps, but ${firing} firing and ${resolved} resolved alerts`);
}

function tell(sample) {
  const { rss_kib: rss, descriptors: open, threads, cpu_s: cpu } = sample;
  const database = `group.db ${sample['group.db']} + ${sample['group.db-wal']} KiB`;
  return `RSS ${rss} KiB, ${open} descriptors, ${threads} threads, CPU ${cpu} s, ${database}`;
}

function table(result) {
  const rows = Object.keys(result.calm).map((key) => [key, result.calm[key], result.flapping[key]]);
  const lines = [['', 'calm', 'flapping'], ...rows].map(
    ([key, calm, flapping]) =>
      `${key.padEnd(22)}${String(calm).padStart(12)}${String(flapping).padStart(12)}`,
  );
  for (const part of ['start', 'flaps', 'per_flap']) {
    for (const [key, value] of Object.entries(result[part]))
      lines.push(`${`${part} ${key}`.padEnd(34)}${String(value).padStart(12)}`);
  }
  return [...lines, `false verdicts${String(result.false_verdicts).padStart(32)}`].join('\n');
}

async function main() {
  const options = readOptions();
  const print = options.json ? console.error : console.log;
  const began = performance.now();
  const say = (text) =>
    print(`${((performance.now() - began) / 1000).toFixed(1).padStart(7)}  ${text}`);
  const { minutes, nodes } = options;
  const result = { ok: false, minutes, nodes, why: [] };
  let setting;
  try {
    setting = new Setting({ ...options, flapping: plan(options).flapping });
    process.on('exit', () => setting.endNow());
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
      process.on(signal, () => setting.bus.fail(new Error(`ended by ${signal}`)));
    await soak(setting, options, result, say);
  } catch (error) {
    result.why.push(error.message);
  }
  result.ok = result.why.length === 0;
  if (result.flapping && result.per_flap) print(table(result));
  if (!result.ok) {
    const told = /^--- (fettled|haproxy|steady) /;
    for (const tail of setting?.processes.tails(LOG_LINES) ?? [])
      if (told.test(tail)) console.error(tail);
    for (const reason of result.why) console.error(`soak: ${reason}`);
  }
  print(result.ok ? 'Flat and right.' : 'NOT flat and right.');
  await setting?.end();
  if (options.json) console.log(JSON.stringify(result));
  process.exit(result.ok ? 0 : 1);
}

main();
