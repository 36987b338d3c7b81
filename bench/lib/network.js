// Network: a namespace for each member round one switch, the same for both systems. A member is cut
// off at the switch's port, which drops in silence: nobody is told, no RST arrives. The command
// that does it is started beforehand, so that the moment of the fault is known to a fraction of a
// millisecond.
'use strict';

const { spawn } = require('node:child_process');
const path = require('node:path');
const { runToEnd } = require('../../trial/lib/processes.js');

const NETNS = path.join(__dirname, '../../tests/e2e/support/netns.sh');
const DISABLED = 0; // states of a bridge port (man bridge)
const FORWARDING = 3;

class Network {
  static async make(scene, count) {
    const network = new Network();
    network.name = `fettle-bench${process.pid}`;
    scene.atEnd(() => runToEnd(NETNS, ['down', network.name]));
    await runToEnd(NETNS, ['up', network.name, String(count)]);
    const inSwitch = ['netns', 'exec', `${network.name}-switch`];
    network.bridge = spawn('ip', [...inSwitch, 'bridge', '-batch', '-'], {
      stdio: ['pipe', 'inherit', 'inherit'],
    });
    scene.atEnd(() => network.bridge.stdin.end());
    return network;
  }

  /** The address of host `i`, from 0, and what goes before a command to run it there. */
  host(i) {
    return { address: `10.77.0.${i + 1}`, run: ['ip', 'netns', 'exec', `${this.name}-${i + 1}`] };
  }

  cut(i) {
    this.setPort(i, DISABLED);
  }

  heal(i) {
    this.setPort(i, FORWARDING);
  }

  setPort(i, state) {
    this.bridge.stdin.write(`link set dev port${i + 1} state ${state}\n`);
  }
}

module.exports = { Network };
