// Fettle under test: three members with a spec that watches nothing, each in its namespace.
'use strict';

const fs = require('node:fs');
const { SmallGroup, NAMES } = require('../../tests/e2e/support/small_group.js');
const { READY_MS } = require('../../tests/e2e/support/scene.js');

const KV_LEVEL = 2; // the engine level that brings the key-value store
const NO_SPEC = 'version: 1\n';

class Fettle {
  static async start(scene, network, { electionMs, heartbeatMs }) {
    const fettle = new Fettle();
    const hosts = Object.fromEntries(NAMES.map((name, i) => [name, network.host(i)]));
    fettle.names = NAMES;
    fettle.group = await SmallGroup.make(scene, { spec: NO_SPEC, hosts });
    for (const { file } of fettle.group.members) {
      const timing = `  election_timeout: ${electionMs}ms\n  heartbeat: ${heartbeatMs}ms\n`;
      fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('  members:\n', `${timing}$&`));
    }
    await fettle.group.start(...NAMES);
    await fettle.group.until('the store is there', READY_MS, NAMES[0], '/v1/status', (said) =>
      said.cluster?.level >= KV_LEVEL,
    );
    return fettle;
  }

  get sockets() {
    return this.group.members.map(({ socket }) => socket);
  }

  /** Starts a member again whose process is gone; whether it is back, `view` tells. */
  restart(name) {
    const { run, file } = this.group.member(name);
    const [command, ...args] = [...run, require('../../tests/e2e/support/standalone.js').FETTLED];
    this.group.scene.processes.start(name, command, [...args, '--config', file]);
  }

  /** What a member says once it has caught up with the leader; throws before. */
  async view(name) {
    const { cluster } = await this.group.get(name, '/v1/status');
    const unreachable = cluster.members.some(({ state }) => state === 'unreachable');
    return { leader: cluster.leader, connected: !unreachable };
  }
}

module.exports = { Fettle };
