// The bench: how long a client waits when the leader fails, and how fast the group commits, beside
// etcd in the same run. docs/benchmarks.md explains it.
'use strict';

const os = require('node:os');
const { execFileSync } = require('node:child_process');
const { parseArgs } = require('node:util');
const { Scene } = require('../tests/e2e/support/scene.js');
const { runToEnd } = require('../trial/lib/processes.js');
const { FETTLED } = require('../tests/e2e/support/standalone.js');
const { Etcd } = require('./lib/etcd.js');
const { Fettle } = require('./lib/fettle.js');
const { Network } = require('./lib/network.js');
const { measure, EVERY_MS, DEADLINE_MS } = require('./lib/client.js');
const { FAULTS, failover } = require('./lib/failover.js');
const { throughput, WARM_UP_S } = require('./lib/throughput.js');
const { quantile, median, round, randomOf } = require('./lib/figures.js');
const { failoverGoals, throughputGoals } = require('./lib/goals.js');
const { failoverTable, throughputTable } = require('./lib/tables.js');

const USAGE = `usage: ./dev bench failover [--only failover|throughput] [--trials N] [--seconds S]
                            [--rounds N] [--timeouts E/H[,E/H]] [--faults F[,F]] [--seed N]
                            [--output text|json]
  --only PART          one part alone
  --trials N           faults of each kind for each system and each pair of timeouts (20)
  --seconds S          a window of throughput (5)
  --rounds N           windows of each kind, the systems in turn (3)
  --timeouts E/H[,…]   election timeout and heartbeat of both systems, in milliseconds
                       (1000/100, etcd's defaults, and 300/60, Fettle's)
  --faults F[,…]       of kill, pause, blackhole (all)
  --seed N             when the faults come (1)
  --output json        the last line of stdout is one JSON object with all figures`;
const SYSTEMS = { fettle: Fettle, etcd: Etcd };
const KINDS = Object.keys(SYSTEMS);
const THROUGHPUT_TIMING = { electionMs: 1000, heartbeatMs: 100 };
const LOADS = [
  { at: 'leader', writers: 1 },
  { at: 'leader', writers: 16 },
  { at: 'leader', writers: 256 },
  { at: 'follower', writers: 16 },
];
const MEMBERS = 3;
const SYNCS = 200; // fdatasync calls timed before each group starts
const VALUE_BYTES = 256;

function timingOf(text) {
  const [, election, heartbeat] = /^(\d+)\/(\d+)$/.exec(text) || [];
  const timing = { electionMs: Number(election), heartbeatMs: Number(heartbeat) };
  if (!(timing.heartbeatMs > 0 && timing.electionMs >= 5 * timing.heartbeatMs)) {
    throw new Error('--timeouts is like 1000/100; etcd wants at least 5 heartbeats');
  }
  return timing;
}

function readOptions() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        only: { type: 'string' },
        trials: { type: 'string', default: '20' },
        seconds: { type: 'string', default: '5' },
        rounds: { type: 'string', default: '3' },
        timeouts: { type: 'string', default: '1000/100,300/60' },
        faults: { type: 'string', default: Object.keys(FAULTS).join() },
        seed: { type: 'string', default: '1' },
        output: { type: 'string', default: 'text' },
      },
    });
    if (positionals.join() !== 'failover') throw new Error('what to measure: failover');
    const within = (name, low, high) => {
      const number = Number(values[name]);
      if (number >= low && number <= high) return number;
      throw new Error(`--${name} is a number from ${low} to ${high}`);
    };
    if (!['text', 'json'].includes(values.output)) throw new Error('--output is text or json');
    const faults = values.faults.split(',');
    if (!faults.every((one) => FAULTS[one])) {
      throw new Error('--faults are of kill, pause, blackhole');
    }
    if (![undefined, 'failover', 'throughput'].includes(values.only)) {
      throw new Error('--only is failover or throughput');
    }
    return {
      parts: values.only ? [values.only] : ['throughput', 'failover'],
      trials: Math.floor(within('trials', 1, 1000)),
      seconds: within('seconds', 0.5, 600),
      rounds: Math.floor(within('rounds', 1, 100)),
      timings: values.timeouts.split(',').map(timingOf),
      faults,
      seed: Math.floor(within('seed', 0, 2 ** 32 - 1)),
      json: values.output === 'json',
    };
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

/** Ends what runs; a scene clears up by itself. */
let interrupt = () => process.exit(1);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => interrupt());

const say = (text) => console.log(text);
const tell = (text) => process.stderr.write(`${text}\n`);

/** `body` with a fresh group in fresh namespaces; what fdatasync takes is timed before. */
async function withGroup(kind, timing, syncs, body) {
  let result;
  await Scene.play(async (scene) => {
    interrupt = () => scene.bus.fail(new Error('interrupted'));
    const { times_us: times } = await measure(['sync', '--count', String(SYNCS), scene.folder]);
    syncs.push(...times);
    const network = await Network.make(scene, MEMBERS);
    const system = await SYSTEMS[kind].start(scene, network, timing);
    result = await body({ scene, processes: scene.processes, network, kind, system });
  });
  return result;
}

async function measureFailover(options, syncs) {
  const results = [];
  for (const timing of options.timings) {
    for (const fault of options.faults) {
      const row = { election_ms: timing.electionMs, heartbeat_ms: timing.heartbeatMs, fault };
      for (const kind of KINDS) {
        const what = `${kind} ${timing.electionMs}/${timing.heartbeatMs} ${FAULTS[fault].text}`;
        row[kind] = await withGroup(kind, timing, syncs, (setting) =>
          failover(setting, {
            fault,
            trials: options.trials,
            random: randomOf(options.seed),
            electionMs: timing.electionMs,
            tell: (text) => tell(`  ${what} ${text}`),
          }),
        );
        tell(`${what}: median ${row[kind].median_ms} ms, max ${row[kind].max_ms} ms`);
      }
      row.ratio = ratios(row, ['median_ms', 'max_ms']);
      results.push(row);
    }
  }
  return results;
}

/** Fettle's figure by etcd's. */
function ratios(row, figures) {
  return Object.fromEntries(figures.map((one) => [one, round(row.fettle[one] / row.etcd[one], 2)]));
}

/** Every load once for each system; the systems take turns in going first. */
async function oneRound(number, options, syncs, windows) {
  const order = number % 2 === 0 ? KINDS : [...KINDS].reverse();
  for (const kind of order) {
    await withGroup(kind, THROUGHPUT_TIMING, syncs, async (setting) => {
      const { system } = setting;
      const { leader } = await system.view(system.names[0]);
      const follower = system.names.find((name) => name !== leader);
      for (const [i, { at, writers }] of LOADS.entries()) {
        const name = at === 'leader' ? leader : follower;
        const said = await throughput(setting, { name, writers, seconds: options.seconds });
        windows[i][kind].push(said);
        tell(`  round ${number + 1}: ${kind}, ${writers} writers at the ${at}: ` +
          `${Math.round(said.commits_per_s)}/s, p99 ${round(said.p99_ms, 2)} ms`);
      }
    });
  }
}

async function measureThroughput(options, syncs) {
  const windows = LOADS.map(() => ({ fettle: [], etcd: [] }));
  for (let i = 0; i < options.rounds; i += 1) await oneRound(i, options, syncs, windows);
  return LOADS.map((load, i) => {
    const row = { ...load };
    for (const kind of KINDS) {
      const of = (figure) => round(median(windows[i][kind].map((one) => one[figure])), 2);
      row[kind] = {
        commits_per_s: Math.round(of('commits_per_s')),
        p50_ms: of('p50_ms'),
        p99_ms: of('p99_ms'),
        client_cpu: of('client_cpu'),
        members_cpu: of('members_cpu'),
      };
    }
    row.ratio = ratios(row, ['commits_per_s', 'p50_ms', 'p99_ms']);
    return row;
  });
}

async function versions() {
  const first = (text) => text.trim().split('\n')[0].replace(/^\D*/, '');
  return {
    fettle: first(await runToEnd(FETTLED, ['--version'])),
    etcd: first(await runToEnd(process.env.ETCD, ['--version'])),
  };
}

function machine() {
  return {
    cores: os.cpus().length,
    memory_gib: round(os.totalmem() / 2 ** 30),
    kernel: os.release(),
    filesystem: execFileSync('stat', ['-f', '-c', '%T', os.tmpdir()], { encoding: 'utf8' }).trim(),
  };
}

async function main() {
  const options = readOptions();
  if (process.getuid() !== 0) throw new Error('needs root: it makes network namespaces');
  const syncs = [];
  const { trials, seconds, rounds, seed } = options;
  const result = {
    bench: 'failover',
    settings: {
      members: MEMBERS, value_bytes: VALUE_BYTES, trials, every_ms: EVERY_MS,
      deadline_ms: DEADLINE_MS, seconds, warm_up_s: WARM_UP_S, rounds, seed,
      throughput_at: 'election timeout 1000 ms, heartbeat 100 ms',
    },
    versions: await versions(),
    machine: machine(),
  };
  if (options.parts.includes('throughput')) {
    result.throughput = await measureThroughput(options, syncs);
  }
  if (options.parts.includes('failover')) result.failover = await measureFailover(options, syncs);
  result.fdatasync = {
    median_ms: round(median(syncs) / 1000, 2),
    p99_ms: round(quantile(syncs, 0.99) / 1000, 2),
    count: syncs.length,
  };
  say(`fdatasync: median ${result.fdatasync.median_ms} ms, p99 ${result.fdatasync.p99_ms} ms\n`);
  if (result.failover) say(failoverTable(result.failover, FAULTS));
  if (result.throughput) say(throughputTable(result.throughput));
  result.goals = [
    ...failoverGoals(result.failover || [], result.fdatasync.p99_ms),
    ...throughputGoals(result.throughput || []),
  ];
  for (const { goal, met } of result.goals) say(`${met ? 'met   ' : 'missed'} ${goal}`);
  if (options.json) say(JSON.stringify(result));
}

main().catch((error) => {
  console.error(error.stack);
  process.exitCode = 1;
});
