// Torment: does faults to a cluster until time is over: one or two at once, each undone after a
// while, then a healthy pause in which writes must be acknowledged again and every member be ready.
// What is done when follows from the seed; who leads then does not.
'use strict';

const { KINDS, makeFault } = require('./faults.js');

const PAUSE_MS = [800, 2500];
const FAULT_MS = [1000, 6000];
const SECOND_PERCENT = 40;
const SECOND_AFTER_MS = [0, 2000];
const TRIES_MAX = 20; // to find a second fault that touches something else
const RECOVERED_MS = 30000;

class Torment {
  /** `acknowledged()`: how many writes were, so far. */
  constructor({ cluster, bus, rng, say, acknowledged, kinds = KINDS }) {
    Object.assign(this, { cluster, bus, rng, say, acknowledged, kinds });
    this.counts = Object.fromEntries(kinds.map((kind) => [kind, 0]));
    this.deck = [];
    this.recoveredMsMax = 0;
    this.returnedMsMax = 0;
  }

  async run(durationMs) {
    const end = performance.now() + durationMs;
    for (;;) {
      await this.#pass(this.rng.int(...PAUSE_MS));
      if (performance.now() >= end) return;
      await Promise.all((await this.#draw()).map((fault, i) => this.#play(fault, i, end)));
      await this.#recovered();
    }
  }

  #pass(ms) {
    return this.bus.pass(ms);
  }

  /** Each kind comes once before any comes again. */
  async #draw() {
    const faults = [await this.#next()];
    if (!this.rng.chance(SECOND_PERCENT)) return faults;
    for (let i = 0; i < TRIES_MAX; i += 1) {
      const second = await makeFault(this.rng.pick(this.kinds), this.cluster, this.rng.split());
      if (second.touches.some((one) => faults[0].touches.includes(one))) continue;
      return [...faults, second];
    }
    return faults;
  }

  #next() {
    if (this.deck.length === 0) this.deck = this.rng.shuffled(this.kinds);
    return makeFault(this.deck.pop(), this.cluster, this.rng.split());
  }

  async #play(fault, order, end) {
    if (order > 0) await this.#pass(this.rng.int(...SECOND_AFTER_MS));
    if (performance.now() >= end) return;
    const until = Math.min(performance.now() + this.rng.int(...FAULT_MS), end);
    const over = () => performance.now() >= until;
    this.say(`${fault.kind}: ${fault.what}, for ${((until - performance.now()) / 1000).toFixed(1)} s`);
    this.counts[fault.kind] += 1;
    await fault.begin();
    if (fault.during) await fault.during((ms) => this.#pass(ms), over);
    await this.#pass(Math.max(0, until - performance.now()));
    await fault.end();
  }

  /** Since all is healed, writes are acknowledged again and every member is ready. */
  async #recovered() {
    const [began, before] = [performance.now(), this.acknowledged()];
    await this.bus.until('a write is acknowledged after all is healed', RECOVERED_MS,
      () => this.acknowledged() > before);
    this.recoveredMsMax = Math.max(this.recoveredMsMax, performance.now() - began);
    await this.cluster.ready();
    this.returnedMsMax = Math.max(this.returnedMsMax, performance.now() - began);
  }
}

module.exports = { Torment };
