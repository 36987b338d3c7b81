// HaproxyWatch: HAProxy's own word on its servers, asked with `show servers state` over one kept
// connection (`prompt`) to a stats socket that nobody else uses. Each change of a server's
// administrative state is kept with the time at which the answer was here.
'use strict';

const net = require('net');
const { setTimeout: sleep } = require('timers/promises');

const PROMPT = '\n> ';
const ANSWER_BYTES_MAX = 256 << 10;
const CONNECT_TRIES = 100;
const CONNECT_AGAIN_MS = 50;
// Bits of srv_admin_state (HAProxy's Management Guide, "show servers state").
const FORCED_MAINT = 0x01;
const FORCED_DRAIN = 0x08;

class HaproxyWatch {
  static IDLE_MS = 20;
  static FAST_MS = 2;

  constructor(bus, socket, backend) {
    this.bus = bus;
    this.socket = socket;
    this.backend = backend;
    this.states = new Map();
    this.changes = [];
    this.onChange = () => {};
    this.paceMs = HaproxyWatch.IDLE_MS;
    this.pending = '';
    this.closed = false;
  }

  async open() {
    this.connection = await this.#connect();
    this.connection.setEncoding('utf8');
    this.connection.on('data', (chunk) => this.#take(chunk));
    this.connection.on('error', () => {});
    this.connection.on('close', () => {
      if (!this.closed) this.bus.fail(new Error("HAProxy closed the trial's stats connection"));
    });
    this.connection.write('prompt\n');
    await this.bus.until("HAProxy's servers are known", 5000, () => this.states.size > 0);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.connection?.destroy();
  }

  /** How long after an answer the next question follows. */
  pace(milliseconds) {
    this.paceMs = milliseconds;
  }

  /** The first change of `server` to `state` at or after `since` (performance.now()). */
  changeTo(server, state, since) {
    return this.changes.find(
      (one) => one.server === server && one.state === state && one.at >= since,
    );
  }

  async #connect() {
    for (let i = 0; ; i += 1) {
      const connection = net.connect(this.socket);
      const error = await new Promise((resolve) => {
        connection.once('connect', () => resolve(null));
        connection.once('error', resolve);
      });
      if (!error) return connection;
      if (this.bus.failure) throw this.bus.failure;
      if (i >= CONNECT_TRIES) throw new Error(`HAProxy's socket: ${error.message}`);
      await sleep(CONNECT_AGAIN_MS);
    }
  }

  #take(chunk) {
    this.pending += chunk;
    if (this.pending.length > ANSWER_BYTES_MAX) {
      return this.bus.fail(new Error("HAProxy's answer is too large"));
    }
    if (!this.pending.endsWith(PROMPT)) return;
    this.#compare(parseServersState(this.pending), performance.now());
    this.pending = '';
    this.timer = setTimeout(() => {
      this.connection.write(`show servers state ${this.backend}\n`);
    }, this.paceMs);
  }

  #compare(states, at) {
    for (const [server, state] of states) {
      const before = this.states.get(server);
      if (before === state) continue;
      this.states.set(server, state);
      const change = { server, state, before, at };
      this.changes.push(change);
      this.onChange(change);
      this.bus.changed();
    }
  }
}

/** server name → ready | drain | maint, by the column names in the table's own header. */
function parseServersState(table) {
  const states = new Map();
  let columns = [];
  for (const line of table.split('\n')) {
    const cells = line.trim().split(/\s+/);
    if (cells[0] === '#') {
      columns = cells.slice(1);
      continue;
    }
    const server = cells[columns.indexOf('srv_name')];
    const admin = Number(cells[columns.indexOf('srv_admin_state')]);
    if (!server || Number.isNaN(admin)) continue;
    states.set(server, admin & FORCED_MAINT ? 'maint' : admin & FORCED_DRAIN ? 'drain' : 'ready');
  }
  return states;
}

module.exports = { HaproxyWatch, parseServersState };
