// SystemdHost: a real systemd in namespaces of its own (systemd_host.sh), with the built tree
// installed as a package would. Ended with its scene.
'use strict';

const fs = require('fs');
const path = require('path');
const { spawn } = require('child_process');
const { runToEnd } = require('../../../trial/lib/processes.js');
const { BIN } = require('./scene.js');

const SCRIPT = path.join(__dirname, 'systemd_host.sh');
const BUILD = path.dirname(BIN);
const BOOT_MS = 200000;
const END_MS = 60000;
const COMMAND_MS = 60000;
const LOOK_EVERY_MS = 100;
const TOOL = '/usr/local/bin/fettle-stop-thread';

/** Installs what was built, as a package would: `tree` is DESTDIR. */
function install(tree, prefix) {
  const args = [`DESTDIR=${tree}`, 'cmake', '--install', BUILD, '--prefix', prefix];
  return runToEnd('env', args, COMMAND_MS);
}

class SystemdHost {
  /** `prepare(tree)` adds to what is installed before the host boots. */
  static async boot(scene, prepare) {
    const host = new SystemdHost();
    const tree = path.join(scene.folder, 'tree');
    host.folder = path.join(scene.folder, `host-${process.pid}`);
    await install(tree, '/usr');
    fs.mkdirSync(path.join(tree, path.dirname(TOOL)), { recursive: true });
    fs.copyFileSync(path.join(BIN, 'fettle-stop-thread'), path.join(tree, TOOL));
    prepare(tree);
    scene.atEnd(async () => {
      await scene.processes.kill('systemd').exit;
      await runToEnd(SCRIPT, ['clear', host.folder], END_MS);
    });
    scene.processes.start('systemd', SCRIPT, ['run', host.folder, tree]);
    await runToEnd(SCRIPT, ['wait', host.folder], BOOT_MS);
    return host;
  }

  run(...command) {
    return runToEnd(SCRIPT, ['exec', this.folder, ...command], COMMAND_MS);
  }

  async put(file, text) {
    await this.run('sh', '-c', 'printf %s "$2" > "$1"', 'put', file, text);
  }

  /** Properties of the unit as systemd shows them. */
  async show(...names) {
    const wanted = names.flatMap((one) => ['-p', one]);
    const text = await this.run('systemctl', 'show', 'fettled', ...wanted);
    return Object.fromEntries(
      text
        .trim()
        .split('\n')
        .map((line) => /^([^=]*)=(.*)$/.exec(line).slice(1)),
    );
  }

  /** Looks until the unit's properties are as wanted, and gives them. */
  async until(what, timeoutMs, names, wanted) {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const shown = await this.show(...names);
      if (wanted(shown)) return shown;
      if (performance.now() > end) {
        const said = `${JSON.stringify(shown)}\n${await this.journal()}`;
        throw new Error(`not within ${timeoutMs} ms: ${what}: ${said}`);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  journal() {
    return this.run('journalctl', '-u', 'fettled', '--no-pager', '-o', 'cat');
  }

  /** The threads of a process: {tid, name}. */
  async threads(pid) {
    const text = await this.run('sh', '-c', 'cd "/proc/$1/task" && grep "" */comm', 'threads', pid);
    return [...text.matchAll(/^(\d+)\/comm:(.*)$/gm)].map(([, tid, name]) => ({ tid, name }));
  }

  /** Holds a thread still; the answer's `gone` is kept when the thread was killed so. */
  async stopThread(tid) {
    const child = spawn(SCRIPT, ['exec', this.folder, TOOL, tid], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    const gone = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        if (code === 0 && said === 'stopped\ngone\n') return resolve();
        reject(new Error(`fettle-stop-thread: exit ${code}: ${said}`));
      });
    });
    gone.catch(() => {});
    await new Promise((resolve, reject) => {
      child.stdout.on('data', (data) => {
        said += data;
        if (said.startsWith('stopped\n')) resolve();
      });
      gone.catch(reject);
    });
    return { gone };
  }
}

module.exports = { SystemdHost, install };
