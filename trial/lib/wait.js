// Bus: what every part of the trial tells when something changed. `until` waits for a fact by
// looking again at each change; it has a bound and a sentence for when the bound is reached. A
// failure told to the bus (a process that ended by itself) ends every wait.
'use strict';

const { EventEmitter } = require('events');

class Bus extends EventEmitter {
  constructor() {
    super();
    this.setMaxListeners(100);
    this.failure = null;
  }

  changed() {
    this.emit('changed');
  }

  /** The first failure stays; later ones follow from it. */
  fail(error) {
    if (this.failure) return;
    this.failure = error;
    this.changed();
  }

  /** The first truthy answer of `look`, or an Error that says what did not happen in time. */
  until(what, timeoutMs, look) {
    return new Promise((resolve, reject) => {
      const end = (finish, value) => {
        clearTimeout(timer);
        this.off('changed', check);
        finish(value);
      };
      const check = () => {
        if (this.failure) return end(reject, this.failure);
        const fact = look();
        if (fact) end(resolve, fact);
      };
      const timer = setTimeout(() => {
        end(reject, new Error(`not within ${timeoutMs / 1000} s: ${what}`));
      }, timeoutMs);
      this.on('changed', check);
      check();
    });
  }

  /** Lets time pass, for a window that is measured; a failure ends it early. */
  async pass(durationMs) {
    const end = performance.now() + durationMs;
    // Node cuts fractions off and counts from the loop's older time: it may fire a little early.
    const timer = setTimeout(() => this.changed(), Math.ceil(durationMs) + 2);
    try {
      await this.until(
        'the end of a window',
        durationMs + 5000,
        () => performance.now() >= end - 1,
      );
    } finally {
      clearTimeout(timer);
    }
  }
}

module.exports = { Bus };
