// Cluster: real members, each in a network namespace of its own round one switch, with mutual TLS, a
// small file system for its data and a wall clock that can be stepped. It does to them what faults
// ask for, and ends whatever it made.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { request } = require('../../trial/lib/http.js');
const { runToEnd } = require('../../trial/lib/processes.js');
const { BIN } = require('../e2e/support/scene.js');
const { SmallGroup } = require('../e2e/support/small_group.js');
const { Membership } = require('./membership.js');

const NETNS = path.join(__dirname, '../e2e/support/netns.sh');
const CLOCK_SHIM = path.join(BIN, '../lib/libfettle-clock-shim.so');
const DATA_BYTES = 4 * 2 ** 30;
const PAGE_BYTES = 4096;
const FILL_TRIES_MAX = 50;
const ASK_MS = 1000;
const SETTLED_MS = 30000;
const LOOK_AGAIN_MS = 100;
const STOPPED = 'exit code 0';
const DISK_FAILED = 'exit code 74';
/** Nothing to watch: the log holds only what clients write. */
const SPEC = 'version: 1\n';

class Cluster {
  static async make(scene, count) {
    const cluster = new Cluster();
    cluster.scene = scene;
    cluster.endedOnFullDisk = 0;
    cluster.names = Array.from({ length: count }, (_, i) => `m${i + 1}`);
    cluster.net = `nemesis${process.pid}`;
    scene.atEnd(() => runToEnd(NETNS, ['down', cluster.net]));
    await runToEnd(NETNS, ['up', cluster.net, String(count)]);
    await runToEnd(NETNS, ['lossy', cluster.net]);
    const hosts = {};
    for (const name of cluster.names) {
      await cluster.#makeDisk(name);
      hosts[name] = {
        address: `10.77.0.${cluster.number(name)}`,
        run: cluster.#hostCommand(name),
      };
    }
    cluster.group = await SmallGroup.make(scene, { spec: SPEC, names: cluster.names, hosts });
    cluster.membership = new Membership(cluster);
    await cluster.group.start(...cluster.names);
    for (const name of cluster.names) cluster.#checkClock(name);
    return cluster;
  }

  number(name) {
    return this.names.indexOf(name) + 1;
  }

  socket(name) {
    return this.group.member(name).socket;
  }

  async #makeDisk(name) {
    const folder = this.dataDir(name);
    fs.mkdirSync(folder, { recursive: true });
    await runToEnd('mount', ['-t', 'tmpfs', '-o', `size=${DATA_BYTES}`, 'fettle-nemesis', folder]);
    this.scene.atEnd(() => runToEnd('umount', ['-l', folder]));
  }

  #hostCommand(name) {
    const clock = this.#clockFile(name);
    fs.writeFileSync(clock, Buffer.alloc(8));
    const env = [`LD_PRELOAD=${CLOCK_SHIM}`, `FETTLE_CLOCK_FILE=${clock}`];
    return ['ip', 'netns', 'exec', `${this.net}-${this.number(name)}`, 'env', ...env];
  }

  /** Steps that no member sees would prove nothing. */
  #checkClock(name) {
    const maps = fs.readFileSync(`/proc/${this.process(name).pid}/maps`, 'utf8');
    if (!maps.includes(path.basename(CLOCK_SHIM))) throw new Error(`${name} has a clock of its own`);
  }

  dataDir(name) {
    return path.join(this.scene.folder, 'data', name);
  }

  #clockFile(name) {
    return path.join(this.scene.folder, `${name}.clock`);
  }

  process(name) {
    return this.scene.processes.started.get(name);
  }

  // ---- processes

  kill(name) {
    return this.scene.processes.kill(name).exit;
  }

  /** SIGTERM; an end that is not clean is an error. */
  async stop(name) {
    const one = this.scene.processes.kill(name, 'SIGTERM');
    await one.exit;
    if (one.how !== STOPPED) throw new Error(`${name} ended with ${one.how} after SIGTERM`);
  }

  launch(name) {
    this.group.launch(name);
  }

  /** kill -9, and its disk is lost with it. */
  async lose(name) {
    await this.kill(name);
    const folder = this.dataDir(name);
    for (const one of fs.readdirSync(folder)) {
      fs.rmSync(path.join(folder, one), { recursive: true });
    }
  }

  pause(name) {
    this.scene.processes.signal(name, 'SIGSTOP');
  }

  resume(name) {
    this.scene.processes.signal(name, 'SIGCONT');
  }

  // ---- who the group is

  remove(name) {
    return this.membership.remove(name);
  }

  add(name) {
    const { address, clusterPort } = this.group.member(name);
    return this.membership.add(name, `${address}:${clusterPort}`);
  }

  transfer(to, by) {
    return this.membership.transfer(to, by);
  }

  // ---- the network: `pairs` are [from, to]

  drop(percent, pairs) {
    const named = pairs.map(([from, to]) => `${this.number(from)}:${this.number(to)}`);
    return runToEnd(NETNS, ['lose', this.net, String(percent), ...named]);
  }

  pass() {
    return runToEnd(NETNS, ['pass', this.net]);
  }

  slow(name, kbit) {
    return runToEnd(NETNS, ['slow', this.net, String(this.number(name)), String(kbit)]);
  }

  // ---- wall clocks

  stepClock(name, offsetMs) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(Math.round(offsetMs)) * 1000000n);
    const file = fs.openSync(this.#clockFile(name), 'r+'); // the same file: it is mapped
    fs.writeSync(file, bytes, 0, 8, 0);
    fs.closeSync(file);
  }

  // ---- disks

  /** Leaves no room; from now on the member may end because of it. */
  async fillDisk(name) {
    this.process(name).asked = true;
    for (let tries = 1; ; tries += 1) {
      const { blocks, bfree, bsize } = fs.statfsSync(this.dataDir(name));
      try {
        return await this.#resizeDisk(name, Math.max((blocks - bfree) * bsize, PAGE_BYTES));
      } catch (error) {
        if (tries === FILL_TRIES_MAX) throw error; // it grew in between, and holds more than that
      }
    }
  }

  /** Makes room; true if the member had ended for want of it. Another end is an error. */
  async emptyDisk(name) {
    await this.#resizeDisk(name, DATA_BYTES);
    const one = this.process(name);
    one.asked = false;
    if (one.ended && one.how !== DISK_FAILED) {
      throw new Error(`${name} ended with ${one.how} on a full disk, not with ${DISK_FAILED}`);
    }
    this.endedOnFullDisk += one.ended ? 1 : 0;
    return one.ended;
  }

  #resizeDisk(name, bytes) {
    return runToEnd('mount', ['-o', `remount,size=${bytes}`, this.dataDir(name)]);
  }

  // ---- what members say

  /** A member's own word, or null if it says nothing in time. */
  async status(name) {
    const where = { socketPath: this.socket(name), path: '/v1/status?consistency=stale' };
    try {
      return JSON.parse((await request({ ...where, timeoutMs: ASK_MS })).body).cluster ?? null;
    } catch {
      return null;
    }
  }

  /** Who leads by the word of the newest term; null: nobody is known. */
  async leader() {
    const said = (await Promise.all(this.names.map((name) => this.status(name))))
      .filter((status) => status?.leader)
      .sort((a, b) => b.term - a.term);
    return said[0]?.leader ?? null;
  }

  /** Every member votes, as this one has it. */
  #isWhole(status) {
    const voters = status.members.filter((one) => one.role === 'voter').map((one) => one.name);
    return voters.sort().join() === [...this.names].sort().join();
  }

  /** Every member knows a leader and has caught up with it; an Error if not within 30 s. */
  ready() {
    return this.group.ready(...this.names);
  }

  /** All are ready, follow one leader, have committed equally far, and are its voters. */
  async settled() {
    await this.ready();
    const end = performance.now() + SETTLED_MS;
    for (;;) {
      const all = await Promise.all(this.names.map((name) => this.status(name)));
      const alike = (key) => all.every((one) => one && one[key] === all[0][key]);
      const agree = ['leader', 'term', 'commit_index'].every(alike) && all[0].leader;
      if (agree && all.every((one) => this.#isWhole(one))) return all[0];
      if (this.scene.bus.failure) throw this.scene.bus.failure;
      if (performance.now() > end) {
        const brief = all.map(
          (one) => one && [one.leader, one.term, one.commit_index, one.members.map((m) => m.name)],
        );
        throw new Error(`members do not agree in ${SETTLED_MS} ms: ${JSON.stringify(brief)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }
}

module.exports = { Cluster, CLOCK_SHIM };
