// Hosts as network namespaces round a switch that passes frames on after a fixed time
// (delay_switch.cc): host I has eth0 10.78.0.I/24. Needs root and /dev/net/tun.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { runToEnd } = require('../../../trial/lib/processes.js');
const { BIN } = require('./scene.js');

const SWITCH = path.join(BIN, 'fettle-delay-switch');
const NET = '10.78.0';
const SOON_MS = 10000;
const LOOK_AGAIN_MS = 20;

class Wan {
  /** `roundTrips`: [[I, J, MS], …], hosts count from 1; pairs that are not named have none. */
  static async make(scene, count, roundTrips) {
    const wan = new Wan();
    wan.scene = scene;
    wan.delays = path.join(scene.folder, 'delays');
    wan.#write(roundTrips);
    const spaces = Array.from({ length: count }, (_, i) => `wan${process.pid}-${i + 1}`);
    for (const space of spaces) {
      await runToEnd('ip', ['netns', 'add', space]);
      scene.atEnd(() => runToEnd('ip', ['netns', 'del', space]));
    }
    wan.switch = scene.processes.start('switch', SWITCH, [wan.delays, ...spaces]);
    await wan.#said(/^ready$/m);
    for (const [i, space] of spaces.entries()) {
      await runToEnd('ip', ['-n', space, 'addr', 'add', `${NET}.${i + 1}/24`, 'dev', 'eth0']);
      await runToEnd('ip', ['-n', space, 'link', 'set', 'lo', 'up']);
      await runToEnd('ip', ['-n', space, 'link', 'set', 'eth0', 'up']);
    }
    wan.hosts = spaces.map((space, i) => ({
      address: `${NET}.${i + 1}`,
      run: ['ip', 'netns', 'exec', space],
    }));
    return wan;
  }

  /** Other round trips from now on. */
  async change(roundTrips) {
    const before = (this.#log().match(/^read again$/gm) ?? []).length;
    this.#write(roundTrips);
    this.scene.processes.signal('switch', 'SIGHUP');
    await this.#said(new RegExp(`(^read again$\\s*){${before + 1}}`, 'm'));
  }

  #write(roundTrips) {
    const lines = roundTrips.flatMap(([a, b, ms]) => [`${a} ${b} ${ms / 2}`, `${b} ${a} ${ms / 2}`]);
    fs.writeFileSync(this.delays, `${lines.join('\n')}\n`);
  }

  #log() {
    return fs.readFileSync(this.switch.log, 'utf8');
  }

  async #said(pattern) {
    const end = performance.now() + SOON_MS;
    while (!pattern.test(this.#log())) {
      if (this.scene.bus.failure) throw this.scene.bus.failure;
      if (performance.now() > end) throw new Error(`the switch never said ${pattern}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }
}

module.exports = { Wan };
