// Sampler: what a process and its databases take, looked at every few seconds.
'use strict';

const fs = require('fs');
const path = require('path');

const EVERY_MS = 1000;
const TICKS_PER_SECOND = 100; // USER_HZ, the unit of /proc/PID/stat, is 100 on Linux
const FILES = ['group.db', 'group.db-wal', 'host.db', 'host.db-wal'];

class Sampler {
  constructor(pid, dataDir) {
    this.pid = pid;
    this.dataDir = dataDir;
    this.samples = [];
  }

  start() {
    this.#look();
    this.timer = setInterval(() => this.#look(), EVERY_MS);
  }

  stop() {
    clearInterval(this.timer);
  }

  /** Samples taken from `from` until `to` (performance.now()). */
  between(from, to) {
    return this.samples.filter((one) => one.at >= from && one.at < to);
  }

  csv() {
    const keys = Object.keys(this.samples[0] ?? {});
    return [keys, ...this.samples.map((one) => keys.map((key) => one[key]))].join('\n') + '\n';
  }

  #look() {
    const proc = (name) => fs.readFileSync(`/proc/${this.pid}/${name}`, 'utf8');
    try {
      const status = proc('status');
      const kib = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)[1]);
      // Fields after the command's name, which may hold blanks (proc(5)): utime is the 12th.
      const stat = proc('stat').split(') ')[1].split(' ');
      this.samples.push({
        at: performance.now(),
        rss_kib: kib('VmRSS'),
        heap_kib: kib('RssAnon'),
        threads: kib('Threads'),
        descriptors: fs.readdirSync(`/proc/${this.pid}/fd`).length,
        cpu_s: (Number(stat[11]) + Number(stat[12])) / TICKS_PER_SECOND,
        ...Object.fromEntries(FILES.map((name) => [name, this.#kib(name)])),
      });
    } catch {
      this.stop(); // it has ended: the setting says so, and why
    }
  }

  #kib(name) {
    const stat = fs.statSync(path.join(this.dataDir, name), { throwIfNoEntry: false });
    return stat ? Math.round(stat.size / 1024) : 0;
  }
}

module.exports = { Sampler };
