// A group of members (three by default) with a spec of the test's own, on loopback or each in a host
// of its own (a network namespace). Members are asked over their local sockets, which any namespace
// reaches.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { request, untilAnswers } = require('../../../trial/lib/http.js');
const { runToEnd } = require('../../../trial/lib/processes.js');
const { READY_MS, freePort } = require('./scene.js');
const { FETTLE, FETTLED } = require('./standalone.js');

const NAMES = ['m1', 'm2', 'm3'];
const LOOK_AGAIN_MS = 50;

class SmallGroup {
  /**
   * `hosts`: by member {address, run}, where `run` goes before its command; default: loopback.
   * `certified`: further names that get a certificate. `exec`: programs that each member may run.
   * `agents`: further members, without a log. `zones`: by member.
   */
  static async make(scene, options) {
    const { spec, names = NAMES, agents = [], zones = {}, allow = {}, hosts = {}, certified = [],
      exec = [] } = options;
    const group = new SmallGroup();
    group.scene = scene;
    group.exec = exec;
    group.tls = path.join(scene.folder, 'tls');
    await runToEnd(FETTLE, [
      'init', 'tls', '--cluster', 'test', '--member', [...names, ...agents, ...certified].join(','),
      '--out', group.tls,
    ]);
    group.members = [];
    for (const name of [...names, ...agents]) {
      const { address = '127.0.0.1', run = [] } = hosts[name] || {};
      group.members.push({
        name,
        agent: agents.includes(name),
        zone: zones[name] || '',
        address,
        run,
        clusterPort: agents.includes(name) ? null : await freePort(),
        apiPort: await freePort(),
        socket: path.join(scene.folder, `${name}.sock`),
        allow: allow[name] || [],
      });
    }
    scene.write('conf.d/spec.yaml', spec);
    for (const member of group.members) member.file = group.writeFile(member);
    return group;
  }

  /** The member's file; `more` takes the place of what it has: an impostor's certificate, its data. */
  writeFile(member, more = {}) {
    const { folder } = this.scene;
    const one = { cert: member.name, file: member.name, tls: this.tls, ...member, ...more };
    const listen = one.agent ? '' : `cluster: "${one.address}:${one.clusterPort}", `;
    const voters = this.members.filter(({ agent }) => !agent).map(
      ({ name, address, clusterPort }) => `    - {name: ${name}, address: "${address}:${clusterPort}"}\n`,
    );
    return this.scene.write(
      `members/${one.file}.yaml`,
      `node_name: ${one.name}
data_dir: ${path.join(folder, 'data', one.file)}
${one.zone ? `zone: ${one.zone}\n` : ''}listen: {${listen}api: "127.0.0.1:${one.apiPort}", socket: ${one.socket}}
cluster:
  name: test
  role: ${one.agent ? 'agent' : 'voter'}
  members:
${voters.join('')}\
tls: {ca: ${one.tls}/ca.pem, cert: ${one.tls}/${one.cert}.pem, key: ${one.tls}/${one.cert}.key}
spec: [${one.agent ? '' : path.join(folder, 'conf.d', '*.yaml')}]
allow: {haproxy: [${one.allow.join(', ')}], exec: [${this.exec.map((one) => JSON.stringify(one)).join(', ')}]}
`,
    );
  }

  member(name) {
    return this.members.find((member) => member.name === name);
  }

  /** Starts members and waits until each knows a leader and has caught up. */
  async start(...names) {
    for (const name of names) this.launch(name);
    await this.ready(...names);
  }

  /** Starts a member and waits for nothing. */
  launch(name) {
    const { run, file } = this.member(name);
    const [command, ...args] = [...run, FETTLED, '--config', file];
    return this.scene.processes.start(name, command, args);
  }

  async ready(...names) {
    for (const name of names) {
      await untilAnswers(this.scene.bus, `${name} is ready`, READY_MS, {
        socketPath: this.member(name).socket,
        path: '/readyz',
      });
    }
  }

  async get(name, where) {
    const { socket } = this.member(name);
    return JSON.parse((await request({ socketPath: socket, path: where, timeoutMs: 10000 })).body);
  }

  /** What one member knows by itself. */
  stale(name) {
    return this.get(name, '/v1/status?consistency=stale');
  }

  fettle(name, ...args) {
    return runToEnd(FETTLE, ['--socket', this.member(name).socket, ...args]);
  }

  /** Asks again until `wanted` takes the answer. */
  async until(what, timeoutMs, name, where, wanted) {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const said = await this.get(name, where);
      if (wanted(said)) return said;
      if (this.scene.bus.failure) throw this.scene.bus.failure;
      if (performance.now() > end) throw new Error(`${what}: never so: ${JSON.stringify(said)}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }

  untilHealthy(timeoutMs = READY_MS) {
    return this.until('all healthy', timeoutMs, NAMES[0], '/v1/status', (status) =>
      status.services?.length > 0 && status.services.every((one) => one.verdict === 'healthy'),
    );
  }

  log(name) {
    return fs.readFileSync(this.scene.processes.started.get(name).log, 'utf8');
  }

  /** Looks at the log again and again until a line fits. */
  async untilLogged(name, pattern, timeoutMs) {
    const end = performance.now() + timeoutMs;
    while (!pattern.test(this.log(name))) {
      if (performance.now() > end) throw new Error(`${name} never logged ${pattern}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }
}

module.exports = { SmallGroup, NAMES };
