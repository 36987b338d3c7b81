// Peers that do not belong to the group, or do not speak as members do: refused and logged; the group
// goes on as if nobody had called.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const tls = require('node:tls');
const { test } = require('node:test');
const { runToEnd } = require('../../trial/lib/processes.js');
const { Scene, freePort } = require('./support/scene.js');
const { FETTLE, FETTLED } = require('./support/standalone.js');
const { SmallGroup, NAMES } = require('./support/small_group.js');
const { startNodes, serviceYaml } = require('./support/light.js');

const LOGGED_MS = 15000;
const FLOOD = 200;
const AGAIN_MS = 200;
const REJOIN_MS = 20000;

async function startGroup(scene) {
  const nodes = await startNodes(scene, ['chat-a', 'chat-b']);
  const spec = `version: 1\nservices:\n${serviceYaml('chat', nodes)}`;
  const group = await SmallGroup.make(scene, { spec, certified: ['m9'] });
  await group.start(...NAMES);
  await group.untilHealthy();
  return group;
}

/** What must not change whoever calls: the leader, its term, and that all members see each other. */
async function shape(group) {
  const { cluster } = await group.get('m1', '/v1/status');
  return [cluster.leader, cluster.term, cluster.members.map((one) => one.state !== 'unreachable')];
}

/** Starts a daemon that says it is m2, at m2's place in the file but with an address of its own. */
async function startImpostor(scene, group, file, more) {
  const own = {
    file,
    clusterPort: await freePort(),
    apiPort: await freePort(),
    socket: path.join(scene.folder, `${file}.sock`),
    ...more,
  };
  const config = group.writeFile(group.member('m2'), own);
  scene.processes.start(file, FETTLED, ['--config', config]);
}

/** A certificate of the group's own CA for m2 that ended long ago. */
async function expiredCertificate(group) {
  const at = (name) => path.join(group.tls, name);
  const folder = path.join(group.tls, 'expired');
  fs.mkdirSync(folder);
  fs.copyFileSync(at('ca.pem'), path.join(folder, 'ca.pem'));
  fs.copyFileSync(at('m2.key'), path.join(folder, 'm2.key'));
  fs.writeFileSync(path.join(folder, 'index.txt'), '');
  fs.writeFileSync(
    path.join(folder, 'ca.conf'),
    `[ca]\ndefault_ca = old\n[old]\ndatabase = ${folder}/index.txt\nnew_certs_dir = ${folder}\n` +
      'default_md = sha256\npolicy = any\nrand_serial = yes\nx509_extensions = member\n' +
      '[any]\ncommonName = supplied\n[member]\nsubjectAltName = DNS:m2\n' +
      'extendedKeyUsage = serverAuth, clientAuth\n',
  );
  const csr = path.join(folder, 'm2.csr');
  await runToEnd('openssl', ['req', '-new', '-key', at('m2.key'), '-subj', '/CN=m2', '-out', csr]);
  await runToEnd('openssl', [
    'ca', '-batch', '-notext', '-config', path.join(folder, 'ca.conf'),
    '-cert', at('ca.pem'), '-keyfile', at('ca.key'), '-in', csr,
    '-startdate', '20200101000000Z', '-enddate', '20200102000000Z',
    '-out', path.join(folder, 'm2.pem'),
  ]);
  return folder;
}

/** m2's own certificate, but bytes of our choice. */
function speakAsM2(group, port, bytes) {
  const read = (name) => fs.readFileSync(path.join(group.tls, name));
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    ca: read('ca.pem'),
    cert: read('m2.pem'),
    key: read('m2.key'),
    servername: 'm1',
  });
  socket.on('error', () => {});
  return new Promise((resolve) => {
    socket.on('secureConnect', () => socket.write(bytes));
    socket.on('close', resolve);
    socket.resume();
  });
}

test('who has no certificate of the group, or that of another, is refused and logged; the group goes on',
  { timeout: 150000 },
  () =>
    Scene.play(async (scene) => {
      const group = await startGroup(scene);
      const before = await shape(group);
      const foreign = path.join(scene.folder, 'foreign');
      await runToEnd(FETTLE, ['init', 'tls', '--cluster', 'test', '--member', 'm2', '--out', foreign]);
      await startImpostor(scene, group, 'foreign-ca', { tls: foreign });
      await group.untilLogged('m1', /link\.refused.*(certificate|verify|alert|unknown ca|self)/i, LOGGED_MS);
      await startImpostor(scene, group, 'other-name', { cert: 'm9' });
      await group.untilLogged('m1', /link\.refused peer=m9: its certificate names 'm9', it says 'm2'/, LOGGED_MS);
      await startImpostor(scene, group, 'a-members-name', { cert: 'm3' });
      await group.untilLogged('m1', /link\.refused peer=m3: its certificate names 'm3', it says 'm2'/, LOGGED_MS);
      await startImpostor(scene, group, 'expired', { tls: await expiredCertificate(group) });
      await group.untilLogged('m1', /link\.refused.*expired/, LOGGED_MS);
      await startImpostor(scene, group, 'twin', {});
      await group.untilLogged('m1', /link\.refused peer=m2: it is another incarnation of m2/, LOGGED_MS);
      await scene.bus.pass(2000);
      assert.deepStrictEqual(await shape(group), before);
      const status = await group.get('m1', '/v1/status');
      assert.strictEqual(status.services[0].verdict, 'healthy');
    }),
);

test('who does not speak as members do is refused and logged; connections without end lock nobody out',
  { timeout: 150000 },
  () =>
    Scene.play(async (scene) => {
      const group = await startGroup(scene);
      const before = await shape(group);
      const { clusterPort } = group.member('m1');
      const plain = net.connect(clusterPort, '127.0.0.1');
      plain.on('error', () => {});
      plain.resume();
      const closed = new Promise((resolve) => plain.on('close', resolve));
      plain.write('GET / HTTP/1.1\r\nHost: m1\r\n\r\n');
      await closed;
      await group.untilLogged('m1', /link\.refused: .*(http request|wrong version|record)/i, LOGGED_MS);

      await speakAsM2(group, clusterPort, Buffer.from([0xff, 0xff, 0xff, 0xff, 1]));
      await group.untilLogged('m1', /link\.refused peer=m2: a frame of 4294967295 bytes/, LOGGED_MS);
      await speakAsM2(group, clusterPort, Buffer.from([9, 0, 0, 0, 77, 1, 2, 3, 4, 5, 6, 7, 8]));
      await group.untilLogged('m1', /link\.refused peer=m2: frame version 77/, LOGGED_MS);

      const held = new Set();
      const hold = () => {
        const socket = net.connect(clusterPort, '127.0.0.1');
        held.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => held.delete(socket));
        socket.resume();
      };
      const flood = setInterval(() => {
        for (let i = held.size; i < FLOOD; i += 1) hold();
      }, AGAIN_MS);
      scene.atEnd(() => {
        clearInterval(flood);
        for (const socket of held) socket.destroy();
      });
      await scene.bus.pass(AGAIN_MS * 2);
      assert.deepStrictEqual(await shape(group), before, 'the links that are up stay up');
      await scene.processes.kill('m3').exit;
      await group.start('m3');
      await group.until('m1 and m3 are linked again under the flood', REJOIN_MS, 'm3', '/v1/status',
        (status) => status.cluster?.members.every((one) => one.state !== 'unreachable'));
    }),
);
