// etcd under test: three members, each in its namespace, as its defaults have it but for the two
// timeouts. Like Fettle's, its members talk by mutual TLS, and its clients come over unix sockets.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { request, untilAnswers } = require('../../trial/lib/http.js');
const { runToEnd } = require('../../trial/lib/processes.js');
const { READY_MS } = require('../../tests/e2e/support/scene.js');

const NAMES = ['e1', 'e2', 'e3'];
const PEER_PORT = 2380;
const SOCKET = 'client:0'; // etcd takes no path: the file is where its process runs
const ASK_MS = 2000;

/** An authority and, for each address, a key with a certificate that names it. */
async function makeCertificates(folder, addresses) {
  const file = (name) => path.join(folder, name);
  const openssl = (...args) => runToEnd('openssl', args);
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc'];
  fs.mkdirSync(folder, { recursive: true });
  await openssl('req', '-x509', ...fresh, '-subj', '/CN=bench', '-days', '2',
    '-keyout', file('ca.key'), '-out', file('ca.pem'));
  for (const address of addresses) {
    fs.writeFileSync(file('san'), `subjectAltName=IP:${address}\n`);
    await openssl('req', ...fresh, '-subj', `/CN=${address}`,
      '-keyout', file(`${address}.key`), '-out', file(`${address}.csr`));
    await openssl('x509', '-req', '-in', file(`${address}.csr`), '-days', '2', '-CAcreateserial',
      '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-extfile', file('san'),
      '-out', file(`${address}.pem`));
  }
}

class Etcd {
  static async start(scene, network, { electionMs, heartbeatMs }) {
    const etcd = new Etcd();
    etcd.scene = scene;
    etcd.names = NAMES;
    etcd.network = network;
    etcd.timing = [
      '--election-timeout', String(electionMs), '--heartbeat-interval', String(heartbeatMs),
    ];
    const addresses = NAMES.map((_, i) => network.host(i).address);
    await makeCertificates(path.join(scene.folder, 'tls'), addresses);
    for (const name of NAMES) etcd.restart(name);
    for (const [i, name] of NAMES.entries()) {
      await untilAnswers(scene.bus, `${name} is ready`, READY_MS, {
        socketPath: etcd.sockets[i],
        path: '/health',
      });
    }
    return etcd;
  }

  folder(name) {
    return path.join(this.scene.folder, name);
  }

  get sockets() {
    return NAMES.map((name) => path.join(this.folder(name), SOCKET));
  }

  restart(name) {
    const url = (i) => `https://${this.network.host(i).address}:${PEER_PORT}`;
    const number = NAMES.indexOf(name);
    const { address, run } = this.network.host(number);
    const tls = (end) => path.join(this.scene.folder, 'tls', end);
    fs.mkdirSync(this.folder(name), { recursive: true });
    fs.rmSync(this.sockets[number], { force: true }); // of a killed one: etcd would not listen
    const [command, ...args] = [...run, 'env', '-C', this.folder(name), process.env.ETCD];
    this.scene.processes.start(name, command, [
      ...args,
      '--name', name,
      '--data-dir', 'data',
      '--listen-client-urls', `unix://${SOCKET}`,
      '--advertise-client-urls', `unix://${SOCKET}`,
      '--listen-peer-urls', url(number),
      '--initial-advertise-peer-urls', url(number),
      '--initial-cluster', NAMES.map((one, i) => `${one}=${url(i)}`).join(','),
      '--peer-client-cert-auth',
      '--peer-trusted-ca-file', tls('ca.pem'),
      '--peer-cert-file', tls(`${address}.pem`),
      '--peer-key-file', tls(`${address}.key`),
      '--logger', 'zap',
      '--log-level', 'warn',
      ...this.timing,
    ]);
  }

  /** What a member says once it has caught up with the leader; throws before. */
  async view(name) {
    const socketPath = this.sockets[NAMES.indexOf(name)];
    const ask = async (more) => {
      const said = await request({ socketPath, timeoutMs: ASK_MS, ...more });
      if (said.status !== 200) throw new Error(`${name}: ${said.status}`);
      return JSON.parse(said.body);
    };
    await ask({ path: '/health' }); // a linearizable read, answered from its own store
    const status = await ask({ path: '/v3/maintenance/status', method: 'POST', body: '{}' });
    await this.learn(ask);
    return { leader: this.byId.get(status.leader), connected: true };
  }

  /** The members' names by their ids, once. */
  async learn(ask) {
    if (this.byId) return;
    const { members } = await ask({ path: '/v3/cluster/member/list', method: 'POST', body: '{}' });
    this.byId = new Map(members.map(({ ID, name }) => [ID, name]));
  }
}

module.exports = { Etcd };
