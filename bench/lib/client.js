// The fast client (fettle-bench-client): one measurement to its end, or the pulse, which writes
// every 2 ms for as long as a group lives.
'use strict';

const { spawn } = require('node:child_process');
const path = require('node:path');
const readline = require('node:readline');
const { runToEnd } = require('../../trial/lib/processes.js');
const { BIN } = require('../../tests/e2e/support/scene.js');

const CLIENT = path.join(BIN, 'fettle-bench-client');
const EVERY_MS = 2;
const DEADLINE_MS = 1000;
const IN_FLIGHT_MAX = 256;

const now = () => Number(process.hrtime.bigint()) / 1e6;

async function measure(args, timeoutMs) {
  return JSON.parse(await runToEnd(CLIENT, args, timeoutMs));
}

class Pulse {
  constructor(scene, system, { sockets, names }) {
    this.bus = scene.bus;
    this.names = names;
    this.counts = { ok: 0, no: 0, late: 0, skipped: 0 };
    this.since = new Map(); // by member: when the newest attempt began that was answered ok
    this.waiting = null;
    const args = [
      'pulse', '--system', system, '--every', String(EVERY_MS), '--deadline', String(DEADLINE_MS),
      '--in-flight', String(IN_FLIGHT_MAX), ...sockets,
    ];
    this.child = spawn(CLIENT, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.child.once('exit', (code, signal) => {
      if (this.closing) return;
      scene.bus.fail(new Error(`the client ended by itself (${signal || code})`));
    });
    this.gone = new Promise((resolve) => this.child.once('close', resolve));
    readline.createInterface({ input: this.child.stdout }).on('line', (line) => this.take(line));
    scene.atEnd(() => this.close());
  }

  async close() {
    this.closing = true;
    this.child.stdin.end();
    await this.gone;
  }

  take(line) {
    const [member, how, began, ended] = line.split(' ');
    this.counts[how] += 1;
    if (how !== 'ok') return;
    const name = this.names[Number(member)];
    const beganMs = Number(began) / 1e6;
    this.since.set(name, Math.max(beganMs, this.since.get(name) || 0));
    if (this.waiting && beganMs >= this.waiting.from) {
      this.waiting.ended ??= Number(ended) / 1e6;
    }
    this.bus.changed();
  }

  /** When the first write that began after `from` was answered as committed. */
  async nextWrite(from, timeoutMs) {
    this.waiting = { from };
    const waiting = this.waiting;
    await this.bus.until('the next write succeeds', timeoutMs, () => waiting.ended !== undefined);
    return waiting.ended;
  }

  /** A write through every member, begun after `from`. */
  writtenThroughAll(from, timeoutMs) {
    return this.bus.until('a write through each member succeeds', timeoutMs, () =>
      this.names.every((name) => (this.since.get(name) || 0) > from),
    );
  }
}

module.exports = { Pulse, measure, now, EVERY_MS, DEADLINE_MS };
