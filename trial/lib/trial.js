// Trial: the whole setting on loopback, in a temporary folder of its own: two model servers,
// HAProxy, a webhook receiver, three members, a client. It starts them in this order, knows how to
// kill a model server and start it again, and ends whatever it started.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');
const { Bus } = require('./wait.js');
const { Events } = require('./events.js');
const { HaproxyWatch } = require('./haproxy_watch.js');
const { Load } = require('./load.js');
const { Processes } = require('./processes.js');
const { Receiver } = require('./receiver.js');
const { freePort } = require('./ports.js');
const { haproxyConfig, startHaproxy } = require('./haproxy.js');
const { untilAnswers } = require('./http.js');
const { writeGroup, fettle, specText } = require('./members.js');
const { Effects } = require('./faults.js');

const SERVERS = ['a', 'b'];
const MEMBERS = ['m1', 'm2', 'm3'];
const READY_MS = 30000;
const HEALTHY_MS = 60000;
const SOCKET_PATH_MAX = 100;
const MODEL_SERVER = path.join(__dirname, '..', 'model_server.js');

class Trial {
  constructor({ binFolder, keep, timeline }) {
    this.keep = keep;
    this.bus = new Bus();
    this.timeline = timeline;
    this.binaries = {
      fettled: path.join(binFolder, 'fettled'),
      fettle: path.join(binFolder, 'fettle'),
    };
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fettle-trial-'));
    this.processes = new Processes(path.join(this.folder, 'logs'), this.bus);
    this.events = new Events(this.bus);
    this.events.onEvent = (event) => timeline.event(event);
    this.secret = crypto.randomBytes(24).toString('hex');
    this.receiver = new Receiver(this.bus, this.secret);
    this.receiver.onDelivery = (delivery) => timeline.delivery(delivery);
  }

  async start() {
    this.#checkBinaries();
    this.timeline.say('trial', this.folder, 'dim');
    await this.#plan();
    await Promise.all(this.servers.map((server) => this.startServer(server.name)));
    await startHaproxy(this.processes, this.haproxy);
    await this.watch.open();
    await untilAnswers(this.bus, 'HAProxy passes requests on', READY_MS, {
      port: this.haproxy.port,
      path: '/health',
    });
    this.timeline.say(
      'haproxy',
      `ready on 127.0.0.1:${this.haproxy.port}: no check, no redispatch, no retry`,
    );
    await this.receiver.listen(this.receiverPort);
    await this.#startMembers();
    this.load.start();
    await Promise.all(SERVERS.map((name) => this.untilVerdict(name, 'healthy', HEALTHY_MS)));
  }

  /** Ends everything; the folder goes too unless it is to be kept. */
  async end() {
    this.load?.stop();
    this.events.close();
    this.watch?.close();
    await this.processes.stopAll();
    await this.receiver.close();
    this.endNow();
  }

  /** The same, for an exit that cannot wait; does nothing more once all has ended. */
  endNow() {
    this.processes.killAllNow();
    if (!this.keep) fs.rmSync(this.folder, { recursive: true, force: true });
  }

  async startServer(name) {
    const { port } = this.servers.find((server) => server.name === name);
    const args = [MODEL_SERVER, '--name', name, '--port', String(port), '--faults'];
    const one = this.processes.start(`server-${name}`, process.execPath, args);
    await untilAnswers(this.bus, `model server ${name} answers`, READY_MS, {
      port,
      path: '/health',
    });
    this.timeline.say('server', `${name} answers on 127.0.0.1:${port} (pid ${one.pid})`, 'cyan');
  }

  /** kill -9 of a model server; when it was sent. */
  killServer(name) {
    const at = performance.now();
    const { pid } = this.processes.kill(`server-${name}`);
    this.timeline.kill(at);
    this.timeline.say('trial', `kill -9 of model server ${name} (pid ${pid})`, 'bold', at);
    return at;
  }

  /** Another signal for a model server: SIGSTOP, SIGCONT; when it was sent. */
  signalServer(name, signal) {
    const at = performance.now();
    const { pid } = this.processes.signal(`server-${name}`, signal);
    if (signal === 'SIGSTOP') this.timeline.kill(at);
    this.timeline.say('trial', `${signal} of model server ${name} (pid ${pid})`, 'bold', at);
    return at;
  }

  startMember(member) {
    this.processes.start(member.name, this.binaries.fettled, ['--config', member.file]);
  }

  /** The group's spec, with HAProxy steered by another member or socket. */
  specText(director) {
    return specText(this, director);
  }

  /** `fettle` on the first member's socket. */
  fettle(...args) {
    this.timeline.say('trial', `fettle ${args.join(' ')}`, 'bold');
    return fettle(this, this.members[0], ...args);
  }

  verdict(node) {
    return this.events.last('verdict.changed', { node })?.value;
  }

  untilVerdict(node, verdict, timeoutMs) {
    return this.bus.until(`${node} is ${verdict}`, timeoutMs, () => this.verdict(node) === verdict);
  }

  #checkBinaries() {
    for (const file of Object.values(this.binaries)) {
      if (!fs.existsSync(file)) throw new Error(`${file} is missing: build first (./dev build)`);
    }
  }

  async #plan() {
    const ports = await freePorts(SERVERS.length + 2 + 2 * MEMBERS.length);
    this.servers = SERVERS.map((name) => ({ name, port: ports.pop() }));
    this.receiverPort = ports.pop();
    this.haproxy = haproxyConfig(this.folder, ports.pop(), this.servers);
    this.members = MEMBERS.map((name) => ({
      name,
      clusterPort: ports.pop(),
      apiPort: ports.pop(),
      socket: path.join(this.folder, `${name}.sock`),
      dataDir: path.join(this.folder, 'data', name),
    }));
    if (this.haproxy.watchSocket.length > SOCKET_PATH_MAX) {
      throw new Error(`${os.tmpdir()} is too long a path for sockets: set TMPDIR to a shorter one`);
    }
    this.watch = new HaproxyWatch(this.bus, this.haproxy.watchSocket, this.haproxy.backend);
    this.watch.onChange = (change) => this.timeline.haproxy(change);
    this.countedSocket = path.join(this.folder, 'haproxy-counted.sock');
    this.effects = new Effects(this.folder);
    this.load = new Load(this.bus, this.haproxy.port);
  }

  async #startMembers() {
    await writeGroup(this);
    for (const member of this.members) {
      this.startMember(member);
    }
    await Promise.all(
      this.members.map((member) =>
        untilAnswers(this.bus, `${member.name} is ready`, READY_MS, {
          port: member.apiPort,
          path: '/readyz',
        }),
      ),
    );
    this.timeline.say('group', `${MEMBERS.join(', ')} are ready`, 'cyan');
    for (const member of this.members) this.events.follow(member.name, member.apiPort);
  }
}

async function freePorts(count) {
  const ports = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}

module.exports = { Trial, MEMBERS };
