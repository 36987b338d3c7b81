// History: what clients asked and were told, as JSON lines for fettle-linearizability
// (docs/nemesis.md has the format), and the figures of it.
'use strict';

const fs = require('node:fs');

class History {
  constructor(file, bus) {
    this.file = file;
    this.bus = bus;
    this.out = fs.openSync(file, 'w');
    this.operations = { ok: 0, failed: 0, unknown: 0 };
    this.askedAgain = 0; // and then known
    this.acknowledged = 0; // writes
    this.longestUnavailableMs = 0;
    this.lastAcknowledged = null;
  }

  static now() {
    return process.hrtime.bigint();
  }

  /** First what was asked, {client, key, op, input, begin}, then what was told. */
  add({ client, key, op, input, begin }, { outcome, output, again = false }) {
    this.operations[outcome] += 1;
    this.askedAgain += again ? 1 : 0;
    const end = outcome === 'unknown' ? null : History.now();
    const line = JSON.stringify({ client, key, op, input, output: output ?? null });
    // Nanoseconds since the machine's start fit a JSON number's 53 bits for 104 days.
    const times = `,"begin_ns":${begin},"end_ns":${end ?? 'null'}}\n`;
    fs.writeSync(this.out, line.slice(0, -1) + times);
    if (outcome === 'ok' && op !== 'read' && output.revision !== undefined) this.#acknowledge();
  }

  #acknowledge() {
    this.acknowledged += 1;
    this.#measure();
    this.lastAcknowledged = performance.now();
    this.bus.changed();
  }

  #measure() {
    if (this.lastAcknowledged === null) return;
    const gap = performance.now() - this.lastAcknowledged;
    this.longestUnavailableMs = Math.max(this.longestUnavailableMs, gap);
  }

  close() {
    fs.closeSync(this.out);
  }
}

/** The keys, one after the other; each takes so many operations. */
class Keys {
  constructor(seed, operations) {
    this.seed = seed;
    this.operations = operations;
    this.all = [];
    this.used = operations;
  }

  /** The key for the next `count` operations. */
  next(count = 1) {
    if (this.used >= this.operations) {
      this.all.push(`nemesis/${this.seed}/${this.all.length}`);
      this.used = 0;
    }
    this.used += count;
    return this.all.at(-1);
  }
}

module.exports = { History, Keys };
