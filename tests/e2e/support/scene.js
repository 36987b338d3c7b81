// A scene: a temporary folder, a bus and processes of one test; all of it gone when the test is over,
// however it ends. A test that fails shows the ends of the logs.
'use strict';

const fs = require('fs');
const os = require('os');
const path = require('path');
const { Bus } = require('../../../trial/lib/wait.js');
const { Processes } = require('../../../trial/lib/processes.js');
const { freePort } = require('../../../trial/lib/ports.js');
const { untilAnswers } = require('../../../trial/lib/http.js');

const ROOT = path.join(__dirname, '../../..');
const BIN = process.env.FETTLE_BIN_DIR || path.join(ROOT, 'build/dev/bin');
const MODEL_SERVER = path.join(ROOT, 'trial/model_server.js');
const READY_MS = 30000;
const LOG_LINES = 20;

class Scene {
  constructor() {
    this.bus = new Bus();
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fettle-test-'));
    this.processes = new Processes(path.join(this.folder, 'logs'), this.bus);
    this.closers = [];
  }

  /** Runs `body(scene)` and clears up. */
  static async play(body) {
    const scene = new Scene();
    try {
      await body(scene);
    } catch (error) {
      for (const tail of scene.processes.tails(LOG_LINES)) console.error(tail);
      throw error;
    } finally {
      for (const close of scene.closers.reverse()) await close();
      await scene.processes.stopAll();
      fs.rmSync(scene.folder, { recursive: true, force: true });
    }
  }

  /** `close` runs before the processes are ended, the last given first. */
  atEnd(close) {
    this.closers.push(close);
  }

  async startModelServer(name, port) {
    const args = [MODEL_SERVER, '--name', name, '--port', String(port), '--faults'];
    this.processes.start(`server-${name}`, process.execPath, args);
    await untilAnswers(this.bus, `${name} answers`, READY_MS, { port, path: '/health' });
  }

  write(name, text) {
    const file = path.join(this.folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
    return file;
  }
}

module.exports = { Scene, ROOT, BIN, READY_MS, freePort };
