// A group of three members on one host with the smallest spec, real backends and a real HAProxy,
// for tests. Only m1 may steer HAProxy. Everything ends with the scene.
'use strict';

const path = require('node:path');
const { Receiver } = require('../../../trial/lib/receiver.js');
const { haproxyConfig, startHaproxy } = require('../../../trial/lib/haproxy.js');
const { request, untilAnswers } = require('../../../trial/lib/http.js');
const { writeGroup, fettle } = require('../../../trial/lib/members.js');
const { BIN, READY_MS, freePort } = require('./scene.js');

const NAMES = ['m1', 'm2', 'm3'];
const SECRET = 'a secret of the test';
const LOOK_AGAIN_MS = 50;

class Group {
  constructor(scene) {
    this.scene = scene;
    this.folder = scene.folder;
    this.binaries = { fettled: path.join(BIN, 'fettled'), fettle: path.join(BIN, 'fettle') };
    this.secret = SECRET;
    this.receiver = new Receiver(scene.bus, SECRET);
  }

  /** Servers, HAProxy, receiver and members, all ready; the first of the members acts. */
  static async start(scene, { names = NAMES, servers = ['chat-a', 'chat-b'] } = {}) {
    const group = new Group(scene);
    group.servers = [];
    for (const name of servers) group.servers.push({ name, port: await freePort() });
    group.haproxy = haproxyConfig(group.folder, await freePort(), group.servers);
    group.receiverPort = await freePort();
    group.members = [];
    for (const name of names) {
      group.members.push({
        name,
        clusterPort: await freePort(),
        apiPort: await freePort(),
        socket: path.join(group.folder, `${name}.sock`),
        dataDir: path.join(group.folder, 'data', name),
        director: name === names[0],
      });
    }
    await writeGroup(group);
    await Promise.all(group.servers.map(({ name, port }) => scene.startModelServer(name, port)));
    await startHaproxy(scene.processes, group.haproxy);
    await group.receiver.listen(group.receiverPort);
    scene.atEnd(() => group.receiver.close());
    await group.startMembers(...names);
    return group;
  }

  /** (Re)starts members and waits until each has caught up with a leader. */
  async startMembers(...names) {
    for (const name of names) {
      const { file } = this.member(name);
      this.scene.processes.start(name, this.binaries.fettled, ['--config', file]);
    }
    await Promise.all(
      names.map((name) =>
        untilAnswers(this.scene.bus, `${name} is ready`, READY_MS, {
          port: this.member(name).apiPort,
          path: '/readyz',
        }),
      ),
    );
  }

  /** kill -9, and its end. */
  async kill(...names) {
    await Promise.all(names.map((name) => this.scene.processes.kill(name).exit));
  }

  member(name) {
    return this.members.find((member) => member.name === name);
  }

  /** {status, headers, body} of a request to the member's local socket, which may write. */
  local(name, method, where, options = {}) {
    return request({ socketPath: this.member(name).socket, method, path: where, ...options });
  }

  /** The same over TCP, which only reads. */
  tcp(name, method, where, options = {}) {
    return request({ port: this.member(name).apiPort, method, path: where, ...options });
  }

  /** What a GET on the member's local socket answers, as an object. */
  async get(name, where) {
    return JSON.parse((await this.local(name, 'GET', where)).body);
  }

  /** `fettle` on the member's local socket. */
  fettle(name, ...args) {
    return fettle(this, this.member(name), ...args);
  }

  /** Who leads, by the word of one member alone; null: it knows nobody. */
  async leaderBy(name) {
    return (await this.get(name, '/v1/status?consistency=stale')).cluster.leader;
  }

  /** Asks the member again until `wanted` takes the answer; the answer. */
  async untilGet(name, where, timeoutMs, wanted) {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const said = await this.get(name, where);
      if (wanted(said)) return said;
      if (this.scene.bus.failure) throw this.scene.bus.failure;
      if (performance.now() > end) {
        throw new Error(`${name} ${where}: never so in ${timeoutMs} ms: ${JSON.stringify(said)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }

  /** All nodes are healthy, by the group's word. */
  /** Until the engine is at the level that has the key-value store and leases. */
  untilRaised(name, timeoutMs = READY_MS) {
    return this.untilGet(name, '/v1/status', timeoutMs, (said) => said.cluster?.level === 2);
  }

  untilHealthy(name, timeoutMs = READY_MS) {
    return this.untilGet(name, '/v1/status', timeoutMs, (status) =>
      status.services?.length > 0 && status.services.every((one) => one.verdict === 'healthy'),
    );
  }
}

module.exports = { Group, NAMES };
