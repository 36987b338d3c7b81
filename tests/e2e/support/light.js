// Light parts for tests of faults: nodes that are HTTP servers of this process and a stand-alone
// member on files of the test's own.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { untilAnswers } = require('../../../trial/lib/http.js');
const { READY_MS, freePort } = require('./scene.js');
const { FETTLED } = require('./standalone.js');

/** A node: an HTTP server that answers 200 to everything until it is stopped. */
class Node {
  constructor(name, port) {
    this.name = name;
    this.port = port;
  }

  start() {
    this.server = http.createServer((_, response) => response.end('fine\n'));
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.port, '127.0.0.1', resolve);
    });
  }

  /** Nobody listens any more, and kept connections are cut: what a dead process looks like. */
  stop() {
    const { server } = this;
    if (!server) return Promise.resolve();
    this.server = null;
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  }
}

async function startNodes(scene, names) {
  const nodes = [];
  for (const name of names) {
    const node = new Node(name, await freePort());
    await node.start();
    scene.atEnd(() => node.stop());
    nodes.push(node);
  }
  return nodes;
}

/** The YAML of a service whose nodes a TCP probe watches closely. */
function serviceYaml(name, nodes, more = '') {
  return `  - name: ${name}
    nodes:
${nodes.map((node) => `      - {name: ${node.name}, address: "127.0.0.1:${node.port}"}\n`).join('')}\
    probes: [{name: port, kind: tcp, interval: 100ms, timeout: 1s, fall: 2, rise: 1}]
${more}`;
}

/** Writes a stand-alone member's files: `{spec, socket, api, member, data}`. */
async function memberFiles(scene, specText, allow = []) {
  const api = await freePort();
  const socket = path.join(scene.folder, 'fettle.sock');
  const data = path.join(scene.folder, 'data');
  const spec = scene.write('conf.d/spec.yaml', specText);
  const member = scene.write(
    'fettled.yaml',
    `spec: [${path.join(scene.folder, 'conf.d', '*.yaml')}]
allow: {haproxy: [${allow.map((one) => JSON.stringify(one)).join(', ')}]}
data_dir: ${data}
listen: {api: "127.0.0.1:${api}", socket: ${socket}}
`,
  );
  return { spec, socket, api, member, data };
}

async function startLightMember(scene, files) {
  const one = scene.processes.start('fettled', FETTLED, ['--config', files.member]);
  await untilAnswers(scene.bus, 'fettled is ready', READY_MS, { port: files.api, path: '/readyz' });
  return one;
}

const everyServiceHealthy = (status) =>
  status.services.length > 0 && status.services.every((one) => one.verdict === 'healthy');

/** Resident memory of a process in KiB. */
function residentKib(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)[1]);
}

module.exports = {
  Node,
  startNodes,
  serviceYaml,
  memberFiles,
  startLightMember,
  everyServiceHealthy,
  residentKib,
};
