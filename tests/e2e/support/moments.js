// What the moments at which members are killed happen in: light nodes behind a real HAProxy, whose
// commands are counted, two receivers, and three members. Each member is the host of one service:
// it owns the director there and runs the programs of its playbook.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { CountedSocket } = require('../../../trial/lib/counted_socket.js');
const { Events } = require('../../../trial/lib/events.js');
const { HaproxyWatch } = require('../../../trial/lib/haproxy_watch.js');
const { Receiver } = require('../../../trial/lib/receiver.js');
const { haproxyConfig, startHaproxy } = require('../../../trial/lib/haproxy.js');
const { freePort } = require('./scene.js');
const { SmallGroup, NAMES } = require('./small_group.js');
const { startNodes } = require('./light.js');

const PROGRAMS = ['one', 'two', 'three'];
const PROGRAM_SECONDS = 0.04;
/** Which host a moment needs depends on who leads: more nodes than its third. */
const SLACK = 1.15;
const HEALTHY_MS = 60000;

/** The same numbers in [0, 1) for the same seed (mulberry32). */
function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `count` shares of [0, 1), one in each of as many equal parts, in an order by chance. */
function spread(random, count) {
  const shares = Array.from({ length: count }, (_, i) => (i + random()) / count);
  for (let i = count - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    [shares[i], shares[j]] = [shares[j], shares[i]];
  }
  return shares;
}

/** Programs that leave a line of what they are in a file, and take a little time. */
class Effects {
  constructor(folder) {
    this.folder = path.join(folder, 'bin');
    this.file = path.join(folder, 'effects');
    fs.mkdirSync(this.folder);
    fs.writeFileSync(this.file, '');
    for (const name of PROGRAMS) {
      fs.writeFileSync(
        this.program(name),
        `#!/bin/sh
echo "$FETTLE_RUN $FETTLE_STEP $FETTLE_KEY $FETTLE_NODE" >> ${this.file}
exec sleep ${PROGRAM_SECONDS}
`,
        { mode: 0o755 },
      );
    }
  }

  program(name) {
    return path.join(this.folder, name);
  }

  /** [{run, step, key, node}], one for each act. */
  acts() {
    const lines = fs.readFileSync(this.file, 'utf8').split('\n').filter(Boolean);
    return lines.map((line) => {
      const [run, step, key, node] = line.split(' ');
      return { run: Number(run), step, key, node };
    });
  }
}

const nodeYaml = ({ name, port }) => `      - {name: ${name}, address: "127.0.0.1:${port}"}\n`;

const serviceYaml = (host, nodes, { socket, backend }) => `  - name: chat-${host}
    nodes:
${nodes.map(nodeYaml).join('')}\
    probes: [{name: port, kind: tcp, interval: 250ms, timeout: 1s, fall: 2, rise: 2}]
    min_healthy: 1
    max_isolated: ${nodes.length}
    traffic: {kind: haproxy, hosts: [${host}], socket: ${socket}, backend: ${backend}}
`;

const playbookYaml = (host, effects) => `  - name: heal-${host}
    mode: enforce
    trigger: {verdict: down, services: [chat-${host}]}
    steps:
      - {id: out, action: traffic.isolate, timeout: 30s, retry: {count: 2, delay: 200ms}}
${PROGRAMS.map(
  (name) => `      - id: ${name}
        action: exec.run
        on: ${host}
        timeout: 30s
        on_failure: continue
        input: {command: [${effects.program(name)}]}
`,
).join('')}\
      - {id: tell, action: notify.send, input: {receiver: pager, text: "\${node.name} out"}}
`;

const specText = (services, steered, effects, ports) => `version: 1
services:
${NAMES.map((host) => serviceYaml(host, services[host], steered)).join('')}\
playbooks:
${NAMES.map((host) => playbookYaml(host, effects)).join('')}\
receivers:
  - {name: oncall, kind: webhook, url: "http://127.0.0.1:${ports.oncall}/"}
  - {name: pager, kind: webhook, url: "http://127.0.0.1:${ports.pager}/"}
route: {receiver: oncall}
`;

async function startReceiver(scene, port) {
  const receiver = new Receiver(scene.bus);
  await receiver.listen(port);
  scene.atEnd(() => receiver.close());
  return receiver;
}

class Setting {
  /** Everything for so many moments is up and healthy; each uses up one node. */
  static async start(scene, moments, undisturbed) {
    const setting = new Setting();
    setting.scene = scene;
    const each = Math.ceil((moments / NAMES.length) * SLACK) + undisturbed + 1;
    setting.nodes = {};
    for (const host of NAMES) {
      const names = Array.from({ length: each }, (_, i) => `${host}-n${i + 1}`);
      setting.nodes[host] = await startNodes(scene, names);
    }
    await setting.#startHaproxy();
    const ports = { oncall: await freePort(), pager: await freePort() };
    setting.oncall = await startReceiver(scene, ports.oncall);
    setting.pager = await startReceiver(scene, ports.pager);
    setting.effects = new Effects(scene.folder);
    const { haproxy, counted, effects } = setting;
    const steered = { socket: counted.path, backend: haproxy.backend };
    setting.group = await SmallGroup.make(scene, {
      spec: specText(setting.nodes, steered, effects, ports),
      allow: Object.fromEntries(NAMES.map((name) => [name, [counted.path]])),
      exec: [path.join(effects.folder, '*')],
    });
    await setting.group.start(...NAMES);
    setting.events = new Events(scene.bus);
    scene.atEnd(() => setting.events.close());
    for (const { name, apiPort } of setting.group.members) setting.events.follow(name, apiPort);
    await setting.group.untilHealthy(HEALTHY_MS);
    return setting;
  }

  async #startHaproxy() {
    const { scene } = this;
    const servers = Object.values(this.nodes).flat();
    this.haproxy = haproxyConfig(scene.folder, await freePort(), servers);
    await startHaproxy(scene.processes, this.haproxy);
    this.watch = new HaproxyWatch(scene.bus, this.haproxy.watchSocket, this.haproxy.backend);
    scene.atEnd(() => this.watch.close());
    await this.watch.open();
    this.counted = new CountedSocket(path.join(scene.folder, 'counted.sock'), this.haproxy.socket);
    await this.counted.listen();
    scene.atEnd(() => this.counted.close());
  }

  /** How many nodes of that host's service may still die: the last one stays. */
  left(host) {
    return this.nodes[host].filter((node) => node.server).length - 1;
  }

  /** The next node of the service dies; {host, node, at}. */
  die(host) {
    const node = this.nodes[host].find((one) => one.server);
    const at = performance.now();
    const death = { host, node: node.name, at };
    node.stop();
    return death;
  }

  /** Who leads, by a majority's word. */
  async leader() {
    const said = await this.group.until('a leader', HEALTHY_MS, NAMES[0], '/v1/status', (status) =>
      NAMES.includes(status.cluster?.leader),
    );
    return said.cluster.leader;
  }

  /** The event that ended the node's own run, when it has. */
  ended({ host, node }) {
    const run = this.started({ host, node })?.run;
    return run && this.events.first('run.finished', { run });
  }

  started({ host, node }) {
    return this.events.first('run.started', { node, value: `heal-${host}` });
  }

  /** How often HAProxy was told to take the node out. */
  orders(node) {
    return this.counted.count(new RegExp(`set server \\S+/${node} state maint`));
  }
}

module.exports = { Setting, PROGRAMS, NAMES, chance, spread };
