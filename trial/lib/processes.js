// Processes: everything that the trial starts, each in a process group of its own (a Ctrl-C at the
// terminal reaches only the trial) and with its output in a log file. It ends them by pid, in the
// reverse order of their first start. Should the trial itself be killed, the kernel ends them
// (PR_SET_PDEATHSIG, by setpriv).
'use strict';

const { execFile, spawn } = require('child_process');
const fs = require('fs');
const path = require('path');

const GRACE_MS = 3000;
const TAIL_BYTES = 16 << 10;

class Processes {
  constructor(folder, bus) {
    this.folder = folder;
    this.bus = bus;
    this.started = new Map();
    fs.mkdirSync(folder, { recursive: true });
  }

  /** Starts `command`; its end is a failure unless `kill` or `stopAll` asked for it. */
  start(name, command, args) {
    const log = path.join(this.folder, `${name}.log`);
    const output = fs.openSync(log, 'a');
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], {
      stdio: ['ignore', output, output],
      detached: true,
    });
    fs.closeSync(output);
    const one = { name, pid: child.pid, log, ended: false, asked: false };
    one.exit = new Promise((resolve) => {
      const over = (how) => {
        if (one.ended) return;
        one.ended = true;
        one.how = how;
        if (!one.asked) this.bus.fail(new Error(`${name} ended by itself (${how})`));
        resolve();
      };
      child.once('error', (error) => over(error.message));
      child.once('exit', (code, signal) => over(signal || `exit code ${code}`));
    });
    this.started.set(name, one);
    return one;
  }

  /** kill -9, or another signal that ends it; `exit` tells when it is gone, then `how` it ended. */
  kill(name, signal = 'SIGKILL') {
    const one = this.started.get(name);
    one.asked = true;
    if (!one.ended) process.kill(one.pid, signal);
    return one;
  }

  /** A signal that does not end it. */
  signal(name, signal) {
    const one = this.started.get(name);
    process.kill(one.pid, signal);
    return one;
  }

  /** SIGTERM, some grace, SIGKILL; the last started first. */
  async stopAll() {
    for (const name of [...this.started.keys()].reverse()) {
      const one = this.kill(name, 'SIGTERM');
      const timer = setTimeout(() => one.ended || process.kill(one.pid, 'SIGKILL'), GRACE_MS);
      await one.exit;
      clearTimeout(timer);
    }
  }

  /** For an exit that cannot wait. */
  killAllNow() {
    for (const [name, one] of this.started) if (!one.ended) this.kill(name);
  }

  /** The last lines of every log, for people. */
  tails(lines) {
    return [...this.started.values()].map((one) => {
      const last = lastBytes(one.log).trimEnd().split('\n').slice(-lines);
      return `--- ${one.name} (${one.log})\n${last.join('\n')}`;
    });
  }
}

function lastBytes(file) {
  const handle = fs.openSync(file, 'r');
  try {
    const { size } = fs.fstatSync(handle);
    const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
    fs.readSync(handle, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString();
  } finally {
    fs.closeSync(handle);
  }
}

/** Runs a command that ends soon; its output, or an Error with what it said. */
function runToEnd(command, args, timeoutMs = 30000) {
  return new Promise((resolve, reject) => {
    execFile(command, args, { timeout: timeoutMs, maxBuffer: 4 << 20 }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      const how = error.killed ? 'no end in time' : `exit ${error.code}`;
      const said = `${stdout}${stderr}`.trim();
      reject(new Error(`${path.basename(command)} ${args.join(' ')}: ${how}\n${said}`));
    });
  });
}

module.exports = { Processes, runToEnd };
