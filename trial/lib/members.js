// The group under trial: its certificates (`fettle init tls`), one member file each, one spec file,
// and the `fettle` command against a member's local socket.
'use strict';

const fs = require('fs');
const path = require('path');
const { runToEnd } = require('./processes.js');

const CLUSTER = 'trial';
const SECRET_NAME = 'oncall_key';

/** Lines of YAML, one for each item. */
const lines = (items, line) => items.map((item) => `${line(item)}\n`).join('');

/** The probe that sees a hang; the port's probe, which sees a death, is the profile's. */
const LIVE = { interval_ms: 500, timeout_ms: 1000, fall: 3 };

function memberFile(group, member) {
  const { folder } = group;
  const tls = (file) => path.join(folder, 'tls', file);
  const voter = ({ name, clusterPort }) =>
    `    - {name: ${name}, address: "127.0.0.1:${clusterPort}"}`;
  return `node_name: ${member.name}
data_dir: ${member.dataDir}
listen:
  cluster: 127.0.0.1:${member.clusterPort}
  api: 127.0.0.1:${member.apiPort}
  socket: ${member.socket}
cluster:
  name: ${CLUSTER}
  members:
${lines(group.members, voter)}tls:
  ca: ${tls('ca.pem')}
  cert: ${tls(`${member.name}.pem`)}
  key: ${tls(`${member.name}.key`)}
spec: [${path.join(folder, 'conf.d', '*.yaml')}]
secrets: ${path.join(folder, 'secrets')}
allow: {haproxy: ["${path.join(folder, 'haproxy*.sock')}"], exec: ["${path.join(folder, 'bin', '*')}"]}
`;
}

/** The spec; `host` steers HAProxy by `socket`. */
function specText(group, { host, socket }) {
  const node = ({ name, port }) => `      - {name: ${name}, address: "127.0.0.1:${port}"}`;
  return `version: 1
services:
  - name: chat
    engine: generic
    nodes:
${lines(group.servers, node)}    probes:
      - {name: live, kind: http, path: /health, interval: ${LIVE.interval_ms}ms, timeout: ${LIVE.timeout_ms}ms, fall: ${LIVE.fall}, rise: 2, start_period: 30s}
      - {name: port, kind: tcp, interval: 500ms, timeout: 2s, fall: 2, rise: 2}
    traffic:
      kind: haproxy
      hosts: [${host}]
      socket: ${socket}
      backend: ${group.haproxy.backend}
receivers:
  - name: oncall
    kind: webhook
    url: "http://127.0.0.1:${group.receiverPort}/hook"
    sign_secret: ${SECRET_NAME}
route: {receiver: oncall}
`;
}

/**
 * `group` has folder, binaries, members, servers, haproxy, receiverPort and secret; unless told
 * otherwise its first member steers HAProxy.
 */
async function writeGroup(
  group,
  director = { host: group.members[0].name, socket: group.haproxy.socket },
) {
  const { folder, members } = group;
  for (const name of ['conf.d', 'secrets', 'members']) fs.mkdirSync(path.join(folder, name));
  const names = members.map((member) => member.name).join(',');
  const out = path.join(folder, 'tls');
  await runToEnd(group.binaries.fettle, [
    'init',
    'tls',
    '--cluster',
    CLUSTER,
    '--member',
    names,
    '--out',
    out,
  ]);
  fs.writeFileSync(path.join(folder, 'secrets', SECRET_NAME), group.secret, { mode: 0o600 });
  fs.writeFileSync(path.join(folder, 'conf.d', 'chat.yaml'), specText(group, director));
  for (const member of members) {
    fs.mkdirSync(member.dataDir, { recursive: true });
    member.file = path.join(folder, 'members', `${member.name}.yaml`);
    fs.writeFileSync(member.file, memberFile(group, member));
  }
}

/** Runs `fettle` on the member's local socket. */
function fettle(group, member, ...args) {
  return runToEnd(group.binaries.fettle, ['--socket', member.socket, ...args]);
}

module.exports = { writeGroup, fettle, specText, CLUSTER, LIVE };
