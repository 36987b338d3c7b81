// Setting: what a soak runs, on loopback, in a temporary folder: one process that is all steady
// nodes, one process for each node that flaps, a real HAProxy before these, a webhook receiver, and
// one stand-alone fettled that probes every node once a second. It ends whatever it started.
'use strict';

const fs = require('fs');
const os = require('os');
const path = require('path');
const { Bus } = require('../../trial/lib/wait.js');
const { Events } = require('../../trial/lib/events.js');
const { HaproxyWatch } = require('../../trial/lib/haproxy_watch.js');
const { Processes, runToEnd } = require('../../trial/lib/processes.js');
const { Receiver } = require('../../trial/lib/receiver.js');
const { freePort } = require('../../trial/lib/ports.js');
const { haproxyConfig, startHaproxy } = require('../../trial/lib/haproxy.js');
const { request, untilAnswers } = require('../../trial/lib/http.js');

const PORT_LOWEST = 10000;
const PORT_HIGHEST = 20000;
const SERVICE_NODES = 500;
const READY_MS = 60000;
const HEALTHY_MS = 120000;
const ISOLATED_MS = 15000;
const RESTORED_MS = 60000;
const ENDED_MS = 20000;
const DOWN_FOR_MS = 2000;
const HAPROXY_PACE_MS = 50;

const numbered = (name, i) => `${name}-${String(i).padStart(4, '0')}`;

class Setting {
  constructor({ binFolder, nodes, flapping }) {
    this.bin = (name) => path.join(binFolder, name);
    this.bus = new Bus();
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fettle-soak-'));
    this.processes = new Processes(path.join(this.folder, 'logs'), this.bus);
    this.events = new Events(this.bus);
    this.receiver = new Receiver(this.bus);
    this.steady = nodes - flapping;
    this.flapping = flapping;
    this.dataDir = path.join(this.folder, 'data');
  }

  async start() {
    for (const name of ['fettled', 'fettle-soak-target', 'fettle-soak-log-size']) {
      const file = this.bin(name);
      if (!fs.existsSync(file)) throw new Error(`${file} is missing: build first`);
    }
    this.firstPort = freeBlock(this.steady + this.flapping);
    [this.hook, this.api, this.front] = [await freePort(), await freePort(), await freePort()];
    this.nodes = Array.from({ length: this.flapping }, (_, i) => ({
      name: numbered('flapping', i),
      port: this.firstPort + this.steady + i,
    }));
    this.#startTarget('steady', this.firstPort, this.steady);
    for (const node of this.nodes) this.#startTarget(node.name, node.port, 1);
    for (const port of [this.firstPort, ...this.nodes.map((node) => node.port)]) {
      await untilAnswers(this.bus, `port ${port} answers`, READY_MS, { port, path: '/health' });
    }
    const haproxy = haproxyConfig(this.folder, this.front, this.nodes);
    await startHaproxy(this.processes, haproxy);
    this.watch = new HaproxyWatch(this.bus, haproxy.watchSocket, haproxy.backend);
    this.watch.pace(HAPROXY_PACE_MS);
    await this.watch.open();
    await this.receiver.listen(this.hook);
    await this.#startMember(haproxy);
  }

  async #startMember(haproxy) {
    const spec = path.join(this.folder, 'spec.yaml');
    const member = path.join(this.folder, 'fettled.yaml');
    fs.writeFileSync(spec, this.#spec(haproxy));
    fs.writeFileSync(
      member,
      `spec: [${spec}]
allow: {haproxy: [${haproxy.socket}]}
data_dir: ${this.dataDir}
listen: {api: "127.0.0.1:${this.api}", socket: ${path.join(this.folder, 'fettle.sock')}}
`,
    );
    this.member = this.processes.start('fettled', this.bin('fettled'), ['--config', member]);
    const where = { port: this.api, path: '/readyz' };
    await untilAnswers(this.bus, 'fettled is ready', READY_MS, where);
    this.events.follow('fettled', this.api);
    const healthy = new Set();
    let looked = 0;
    await this.bus.until('every node is healthy', HEALTHY_MS, () => {
      for (; looked < this.events.all.length; looked += 1) {
        const { kind, node, value } = this.events.all[looked];
        if (kind === 'verdict.changed' && value === 'healthy') healthy.add(node);
      }
      return healthy.size === this.steady + this.flapping;
    });
  }

  #spec(haproxy) {
    const node = (name, port) => `      - {name: ${name}, address: "127.0.0.1:${port}"}\n`;
    const probes = '    probes: [{name: live, kind: http, interval: 1s}]\n';
    let text = 'version: 1\nservices:\n';
    for (let i = 0; i < this.steady; i += 1) {
      if (i % SERVICE_NODES === 0)
        text += `  - name: steady-${i / SERVICE_NODES}\n${probes}    nodes:\n`;
      text += node(numbered('steady', i), this.firstPort + i);
    }
    return `${text}  - name: flapping
    max_isolated: ${this.flapping}
    traffic: {kind: haproxy, socket: ${haproxy.socket}, backend: ${haproxy.backend}}
${probes}    nodes:
${this.nodes.map(({ name, port }) => node(name, port)).join('')}receivers:
  - {name: oncall, kind: webhook, url: "http://127.0.0.1:${this.hook}/hook"}
route: {receiver: oncall}
`;
  }

  #startTarget(name, port, count) {
    const args = ['--first-port', String(port), '--count', String(count)];
    this.processes.start(name, this.bin('fettle-soak-target'), args);
  }

  /** kill -9, isolation at HAProxy, return, restoration at HAProxy; rejects if one is missing. */
  async flap(i) {
    const node = this.nodes[i % this.nodes.length];
    const killed = performance.now();
    await this.processes.kill(node.name).exit;
    const maint = await this.bus.until(`${node.name} is in maintenance`, ISOLATED_MS, () =>
      this.watch.changeTo(node.name, 'maint', killed),
    );
    await this.bus.pass(Math.max(0, killed + DOWN_FOR_MS - performance.now()));
    this.#startTarget(node.name, node.port, 1);
    const returned = performance.now();
    const ready = await this.bus.until(`${node.name} is ready again`, RESTORED_MS, () =>
      this.watch.changeTo(node.name, 'ready', maint.at),
    );
    return { isolated_ms: maint.at - killed, restored_ms: ready.at - returned };
  }

  /** Requests answered by each steady node so far. */
  async counts() {
    return JSON.parse((await request({ port: this.firstPort, path: '/counts' })).body);
  }

  /** What was said against nodes that never failed, since `since`. */
  falseVerdicts(since) {
    return this.events.all.filter(
      (event) =>
        event.arrived >= since &&
        event.node?.startsWith('steady-') &&
        (event.kind === 'incident.opened' ||
          (event.kind === 'verdict.changed' && event.value !== 'healthy')),
    );
  }

  /** The newest index of the log that the event stream has told of. */
  newestIndex() {
    return Number((this.events.all.at(-1)?.id ?? '0').split('.')[0]);
  }

  /** Ends the daemon and measures the log that it left: entries, bytes and memory after `index`. */
  async logAfter(index) {
    const timer = setTimeout(() => this.bus.fail(new Error('fettled does not end')), ENDED_MS);
    await this.processes.kill('fettled', 'SIGTERM').exit;
    clearTimeout(timer);
    const file = path.join(this.dataDir, 'group.db');
    return JSON.parse(await runToEnd(this.bin('fettle-soak-log-size'), [file, String(index)]));
  }

  async end() {
    this.events.close();
    this.watch?.close();
    await this.processes.stopAll();
    await this.receiver.close();
    this.endNow();
  }

  /** The same, for an exit that cannot wait. */
  endNow() {
    this.processes.killAllNow();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The first of `count` loopback ports in a row that nobody listens on. */
function freeBlock(count) {
  const used = ['/proc/net/tcp', '/proc/net/tcp6']
    .filter((file) => fs.existsSync(file))
    .flatMap((file) => fs.readFileSync(file, 'utf8').trim().split('\n').slice(1))
    .map((line) => parseInt(line.trim().split(/\s+/)[1].split(':')[1], 16));
  const room = PORT_HIGHEST - PORT_LOWEST - count;
  for (let tries = 0; tries < 100 && room > 0; tries += 1) {
    const first = PORT_LOWEST + Math.floor(Math.random() * room);
    if (!used.some((port) => port >= first && port < first + count)) return first;
  }
  throw new Error(`no ${count} free ports in a row between ${PORT_LOWEST} and ${PORT_HIGHEST}`);
}

module.exports = { Setting };
