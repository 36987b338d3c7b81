// Rng: a small seeded generator (splitmix64, Steele et al. 2014), as base/rng.h.
'use strict';

const MASK = (1n << 64n) - 1n;

class Rng {
  constructor(seed) {
    this.state = BigInt(seed) & MASK;
  }

  #next() {
    this.state = (this.state + 0x9e3779b97f4a7c15n) & MASK;
    let z = this.state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
    return z ^ (z >> 31n);
  }

  /** A number in [low, high); whole ones only by `int`. */
  real(low, high) {
    return low + (Number(this.#next() >> 11n) / 2 ** 53) * (high - low);
  }

  /** A whole number in [low, high]; both ends included. */
  int(low, high) {
    return Math.floor(this.real(low, high + 1));
  }

  chance(percent) {
    return this.real(0, 100) < percent;
  }

  pick(list) {
    return list[this.int(0, list.length - 1)];
  }

  shuffled(list) {
    const out = [...list];
    for (let i = out.length - 1; i > 0; i -= 1) {
      const j = this.int(0, i);
      [out[i], out[j]] = [out[j], out[i]];
    }
    return out;
  }

  /** An independent generator: its draws do not shift this one's. */
  split() {
    return new Rng(this.#next());
  }
}

module.exports = { Rng };
