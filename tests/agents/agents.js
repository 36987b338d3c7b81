// The bench of agents: thousands of agents of one process, with real links, against three real voters:
// what they cost the leader, and how long a change of the leader takes until all of them follow the new
// one.
// Usage: node agents.js [--agents N] [--nodes N] [--seconds S] [--output text|json]
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { request } = require('../../trial/lib/http.js');
const { Scene, BIN, freePort } = require('../e2e/support/scene.js');
const { SmallGroup, NAMES } = require('../e2e/support/small_group.js');

const USAGE = `usage: ./dev bench agents [--agents N] [--nodes N] [--seconds S] [--output text|json]
  --agents N       agents (2000; from 10 to 10000)
  --nodes N        nodes, each watched by three members (3330)
  --seconds S      the window of steady state (15)
  --output json    the last line of stdout is one JSON object with the figures`;
const OBSERVERS = 3;
const SERVICE_NODES = 10;
const JOINED_MS = 300000;
const SETTLED_MS = 120000;
const LOOK_AGAIN_MS = 20;

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        agents: { type: 'string', default: '2000' },
        nodes: { type: 'string', default: '3330' },
        seconds: { type: 'string', default: '15' },
        output: { type: 'string', default: 'text' },
      },
    });
    const within = (name, low, high) => {
      const number = Number(values[name]);
      if (number >= low && number <= high) return Math.floor(number);
      throw new Error(`--${name} is a number from ${low} to ${high}`);
    };
    if (!['text', 'json'].includes(values.output)) throw new Error('--output is text or json');
    return {
      agents: within('agents', 10, 10000),
      nodes: within('nodes', SERVICE_NODES, 20000),
      seconds: within('seconds', 1, 600),
      json: values.output === 'json',
    };
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

const tell = (text) => process.stderr.write(`${text}\n`);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const round = (number, digits = 1) => Number(number.toFixed(digits));

/** Services of ten nodes, all of which are one port that answers: the agents' probes are not real. */
function specText(nodes, port) {
  const services = [];
  for (let from = 0; from < nodes; from += SERVICE_NODES) {
    const name = `s${from / SERVICE_NODES}`;
    const lines = Array.from({ length: Math.min(SERVICE_NODES, nodes - from) }, (_, i) =>
      `      - {name: ${name}-${i}, address: "127.0.0.1:${port}"}\n`);
    services.push(`  - name: ${name}\n    observers: ${OBSERVERS}\n    nodes:\n${lines.join('')}\
    probes: [{name: port, kind: tcp, interval: 2s, timeout: 1s, fall: 2, rise: 1}]\n`);
  }
  return `version: 1\nservices:\n${services.join('')}`;
}

class Bench {
  constructor(scene, options) {
    Object.assign(this, { scene, options });
  }

  async start() {
    const { scene, options } = this;
    const { Node } = require('../e2e/support/light.js');
    const node = new Node('all', await freePort());
    await node.start();
    scene.atEnd(() => node.stop());
    const agents = Array.from({ length: options.agents }, (_, i) => `a${i + 1}`);
    this.group = await SmallGroup.make(scene, {
      spec: specText(options.nodes, node.port), certified: agents,
    });
    await this.group.start(...NAMES);
  }

  startFleet() {
    const { group, scene, options } = this;
    const voters = NAMES.map((name) => `${name}=127.0.0.1:${group.member(name).clusterPort}`);
    this.from = Date.now();
    this.fleet = scene.processes.start('fleet', path.join(BIN, 'fettle-agent-fleet'), [
      '--agents', String(options.agents), '--tls', group.tls, '--cluster', 'test',
      '--voter', ...voters,
    ]);
  }

  /** What the fleet counted, line by line, until `wanted` takes one; that line. */
  async until(what, timeoutMs, wanted) {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const text = fs.readFileSync(this.fleet.log, 'utf8');
      const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n').filter((line) => line.startsWith('{'));
      const found = lines.map((line) => JSON.parse(line)).find(wanted);
      if (found) return found;
      if (this.scene.bus.failure) throw this.scene.bus.failure;
      if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs} ms: ${lines.at(-1)}`);
      await pause(LOOK_AGAIN_MS);
    }
  }

  /** Metrics of a member, without labels. */
  async metrics(name) {
    const { body } = await request({ port: this.group.member(name).apiPort, path: '/metrics', timeoutMs: 10000 });
    const all = [...body.matchAll(/^(\w+) (\S+)$/gm)].map(([, key, value]) => [key, Number(value)]);
    return Object.fromEntries(all);
  }

  /** CPU of each voter over a window, as shares of a core; memory at its end. */
  async window(names, seconds) {
    const before = await Promise.all(names.map((name) => this.metrics(name)));
    const from = performance.now();
    await pause(seconds * 1000);
    const after = await Promise.all(names.map((name) => this.metrics(name)));
    const took = (performance.now() - from) / 1000;
    return names.map((name, i) => ({
      name,
      cores: round((after[i].process_cpu_seconds_total - before[i].process_cpu_seconds_total) / took, 3),
      resident_mib: round(after[i].process_resident_memory_bytes / 2 ** 20),
      agent_links: after[i].fettle_agent_links,
      entries_per_s: round((after[i].fettle_raft_commit_index - before[i].fettle_raft_commit_index) / took),
    }));
  }

  /** Whoever leads, by the word of the first who answers. */
  async leader(names = NAMES) {
    for (const name of names) {
      const { cluster } = await this.group.stale(name).catch(() => ({}));
      if (cluster?.leader) return cluster.leader;
    }
    throw new Error('nobody knows a leader');
  }

  /** Agents that the group takes for lost, and those that it knows. */
  async known(name) {
    const { members } = await this.group.get(name, '/v1/members');
    const agents = members.filter(({ role }) => role === 'agent');
    return { agents: agents.length, lost: agents.filter(({ state }) => state === 'lost').length };
  }

  async allHealthy(name) {
    const { services } = await this.group.get(name, '/v1/status');
    return services?.every((one) => one.verdict === 'healthy');
  }

  /** The fleet arrives: until every link is up, every agent a member, every node seen as healthy. */
  async join() {
    const { agents } = this.options;
    const linked = await this.until('all links are up', JOINED_MS, (one) => one.whole === agents);
    const end = performance.now() + JOINED_MS;
    while ((await this.known('m1')).agents < agents || !(await this.allHealthy('m1'))) {
      if (performance.now() > end) throw new Error('the group never settled after the fleet came');
      await pause(250);
    }
    return {
      linked_s: round((linked.wall_ms - this.from) / 1000),
      settled_s: round((Date.now() - this.from) / 1000),
      handshakes: linked.handshakes,
    };
  }

  /** `change` makes another lead; until every agent follows it, and has two links again. */
  async changeLeader(change, names) {
    const old = await this.leader(names);
    const before = await this.until('a count', SETTLED_MS, (one) => one.whole === this.options.agents);
    const text = fs.readFileSync(this.fleet.log, 'utf8').trimEnd().split('\n').at(-1);
    const { term, handshakes } = { ...before, ...JSON.parse(text) };
    const at = Date.now();
    await change(old);
    const { agents } = this.options;
    const settled = (one) =>
      one.wall_ms >= at && one.term > term && Object.values(one.led).reduce((a, b) => a + b, 0) === agents;
    const first = await this.until('an agent follows', SETTLED_MS, (one) => one.wall_ms >= at && one.term > term);
    const all = await this.until('all agents follow', SETTLED_MS, settled);
    const whole = await this.until('all have two links', SETTLED_MS, (one) => settled(one) && one.whole === agents);
    const [leader] = Object.keys(all.led);
    return {
      leader,
      first_ms: first.wall_ms - at,
      all_ms: all.wall_ms - at,
      two_links_ms: whole.wall_ms - at,
      handshakes: whole.handshakes - handshakes,
      lost: (await this.known(leader)).lost,
    };
  }
}

async function measure(options) {
  let figures;
  await Scene.play(async (scene) => {
    const bench = new Bench(scene, options);
    tell(`making certificates for ${options.agents} agents, starting three voters`);
    await bench.start();
    const empty = await bench.window(NAMES, 3);
    tell(`without agents: ${JSON.stringify(empty)}`);
    bench.startFleet();
    const join = await bench.join();
    tell(`joined: ${JSON.stringify(join)}`);
    const leader = await bench.leader();
    const steady = await bench.window(NAMES, options.seconds);
    tell(`steady: ${JSON.stringify(steady)}`);
    const next = NAMES.find((name) => name !== leader);
    const handedOver = await bench.changeLeader(() => bench.group.fettle(leader, 'member', 'transfer', next), NAMES);
    tell(`handed over: ${JSON.stringify(handedOver)}`);
    await pause(5000);
    const others = NAMES.filter((name) => name !== handedOver.leader);
    const killed = await bench.changeLeader((old) => scene.processes.kill(old).exit, others);
    tell(`killed: ${JSON.stringify(killed)}`);
    figures = { agents: options.agents, nodes: options.nodes, empty, join, leader, steady, handed_over: handedOver, killed };
  });
  return figures;
}

function print({ agents, nodes, empty, join, leader, steady, handed_over: handed, killed }) {
  const role = (name) => (name === leader ? 'leader' : 'follower');
  console.log(`${agents} agents, ${nodes} nodes: all links after ${join.linked_s} s, settled after ${join.settled_s} s\n`);
  console.log('| voter | memory without agents | with | cores used | links of agents |\n|---|---|---|---|---|');
  for (const [i, one] of steady.entries()) {
    console.log(`| ${role(one.name)} | ${empty[i].resident_mib} MiB | ${one.resident_mib} MiB | ${one.cores} | ${one.agent_links} |`);
  }
  console.log('\n| leader | first agent follows | all follow | all have two links | new handshakes | taken for lost |\n|---|---|---|---|---|---|');
  for (const [what, one] of [['handed over', handed], ['killed', killed]]) {
    console.log(`| ${what} | ${one.first_ms} ms | ${one.all_ms} ms | ${one.two_links_ms} ms | ${one.handshakes} | ${one.lost} |`);
  }
}

async function main() {
  const options = readOptions();
  const figures = await measure(options);
  if (!options.json) return print(figures);
  return console.log(JSON.stringify(figures));
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
