// The nemesis' own parts: its faults do what they say and are undone, what an answer proves is told
// apart, and a run in which clients read stale values is found out.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { execFile } = require('node:child_process');
const { test } = require('node:test');
const { runToEnd } = require('../../trial/lib/processes.js');
const { Scene } = require('../e2e/support/scene.js');
const { judge, requestOf } = require('./clients.js');
const { CLOCK_SHIM } = require('./cluster.js');
const { KINDS, makeFault } = require('./faults.js');
const { Keys } = require('./history.js');
const { Rng } = require('./rng.js');

const NETNS = path.join(__dirname, '../e2e/support/netns.sh');
const NEMESIS = path.join(__dirname, 'nemesis.sh');
const PACKETS = 200;
const PORT = 9000;
const HEARD_MS = 10000;
const STALE_MINUTES = '0.6';
const RUN_MS = 150000;
const skip = process.getuid() === 0 ? false : 'needs root: it makes network namespaces';

/** Says its name for each packet that it hears, `end` and how many after a packet that says so. */
const EAR = `const s = require('dgram').createSocket('udp4');
let heard = 0;
s.on('message', (m) => {
  if (String(m).trim() !== 'end') { heard += 1; return; }
  console.log('heard ' + heard); heard = 0;
});
s.bind(${PORT}, () => console.log('listens'));`;

/** Two hosts; `sent(from, to)` is how many of PACKETS arrive. */
async function twoHosts(scene) {
  const net = `parts${process.pid}`;
  scene.atEnd(() => runToEnd(NETNS, ['down', net]));
  await runToEnd(NETNS, ['up', net, '2']);
  await runToEnd(NETNS, ['lossy', net]);
  const inHost = (i) => ['netns', 'exec', `${net}-${i}`];
  const log = (i) => fs.readFileSync(scene.processes.started.get(`ear-${i}`).log, 'utf8');
  const until = async (what, look) => {
    const end = performance.now() + HEARD_MS;
    while (!look()) {
      assert.ok(performance.now() < end, what);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  for (const i of [1, 2]) {
    scene.processes.start(`ear-${i}`, 'ip', [...inHost(i), process.execPath, '-e', EAR]);
    await until(`ear ${i}`, () => log(i).includes('listens'));
  }
  const netns = (verb, ...args) => runToEnd(NETNS, [verb, net, ...args]);
  const sent = async (from, to) => {
    const said = () => log(to).match(/heard \d+/g) ?? [];
    const before = said().length;
    const send = (text, times) => runToEnd('ip', [
      ...inHost(from), 'bash', '-c',
      `for i in $(seq ${times}); do echo ${text} > /dev/udp/10.77.0.${to}/${PORT}; done`,
    ]);
    await send('x', PACKETS);
    await netns('pass'); // the end must arrive
    await send('end', 1);
    await until('the end of the packets', () => said().length > before);
    return Number(said().at(-1).split(' ')[1]);
  };
  return { netns, sent };
}

test('the switch loses what it is told to, one way, and passes on again', { timeout: 60000, skip }, () =>
  Scene.play(async (scene) => {
    const { netns, sent } = await twoHosts(scene);
    assert.strictEqual(await sent(1, 2), PACKETS);
    await netns('lose', '100', '1:2');
    assert.strictEqual(await sent(1, 2), 0);
    await netns('lose', '100', '1:2');
    assert.strictEqual(await sent(2, 1), PACKETS);
    await netns('lose', '50', '1:2', '2:1');
    const half = await sent(2, 1);
    assert.ok(half > PACKETS * 0.2 && half < PACKETS * 0.8, `${half} of ${PACKETS}`);
    assert.strictEqual(await sent(2, 1), PACKETS);
  }),
);

test('the clock shim moves the wall clock of a running process, and no other clock', () =>
  Scene.play(async (scene) => {
    const file = scene.write('clock', Buffer.alloc(8));
    const env = [`LD_PRELOAD=${CLOCK_SHIM}`, `FETTLE_CLOCK_FILE=${file}`];
    const program = `const at = () => Date.now() - performance.now();
      const before = at();
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64LE(-3600000000000n);
      const file = require('fs').openSync(process.env.FETTLE_CLOCK_FILE, 'r+');
      require('fs').writeSync(file, bytes);
      console.log(Math.round((at() - before) / 1000));`;
    const moved = await runToEnd('env', [...env, process.execPath, '-e', program]);
    assert.strictEqual(moved.trim(), '-3600');
  }),
);

test('what an answer proves', () => {
  const answer = (status, body) => ({ status, body: JSON.stringify(body) });
  const refusal = (status, code) => answer(status, { error: { code, message: '', path: '' } });
  const ok = (output) => ({ outcome: 'ok', output });
  const seen = { value: [1], revision: 3 };
  assert.deepStrictEqual(judge('read', answer(200, seen)), ok(seen));
  assert.deepStrictEqual(judge('write', answer(200, { revision: 4 })), ok({ revision: 4 }));
  assert.deepStrictEqual(judge('read', refusal(404, 'not_found')), ok({ absent: true }));
  assert.deepStrictEqual(judge('delete', refusal(404, 'not_found')), ok({ absent: true }));
  assert.deepStrictEqual(judge('cas', refusal(412, 'conflict')), ok({ mismatch: true }));
  assert.strictEqual(judge('write', refusal(503, 'not_leader')).outcome, 'failed');
  assert.strictEqual(judge('write', refusal(503, 'unreachable')).outcome, 'unknown');
  assert.strictEqual(judge('cas', refusal(504, 'in_doubt')).outcome, 'unknown');
  assert.strictEqual(judge('read', refusal(503, 'unreachable')).outcome, 'failed');
  assert.throws(() => judge('write', refusal(400, 'invalid')), /write: 400/);
  assert.throws(() => judge('write', refusal(404, 'not_found')), /write: 404/);
  assert.throws(() => judge('write', answer(200, {})), /no revision/);
});

test('an operation as a request', () => {
  const swap = { key: 'k', op: 'cas', input: { value: ['x'], revision: 0 }, once: 'c1/7' };
  assert.deepStrictEqual(requestOf(swap), {
    method: 'PUT',
    path: '/v1/kv/k',
    headers: { 'idempotency-key': 'c1/7', 'if-match': '0' },
    body: '{"value":["x"]}',
  });
  assert.deepStrictEqual(requestOf({ key: 'k', op: 'delete', input: {}, once: 'c1/8' }), {
    method: 'DELETE', path: '/v1/kv/k', headers: { 'idempotency-key': 'c1/8' },
  });
  const read = requestOf({ key: 'k', op: 'read', input: null }, 'stale');
  assert.deepStrictEqual(read, { method: 'GET', path: '/v1/kv/k?consistency=stale' });
});

test('a key takes so many operations and then another is used', () => {
  const keys = new Keys(7, 200);
  const used = Array.from({ length: 200 }, () => keys.next());
  assert.deepStrictEqual([...new Set(used)], ['nemesis/7/0']);
  assert.strictEqual(keys.next(2), 'nemesis/7/1');
});

test('a seed repeats what is done', async () => {
  const cluster = { names: ['m1', 'm2', 'm3'], leader: async () => 'm2' };
  const told = async (seed) => {
    const rng = new Rng(seed);
    const faults = await Promise.all(KINDS.map((kind) => makeFault(kind, cluster, rng.split())));
    return faults.map((fault) => fault.what);
  };
  assert.deepStrictEqual(await told(5), await told(5));
  assert.notDeepStrictEqual(await told(5), await told(6));
});

test('clients that are told stale values are found out', { timeout: RUN_MS, skip }, async () => {
  const args = ['--minutes', STALE_MINUTES, '--members', '3', '--seed', '1', '--reads', 'stale',
    '--faults', 'halves,pause,one_way', '--output', 'json'];
  const { code, stdout, stderr } = await new Promise((resolve) => {
    execFile(NEMESIS, args, { maxBuffer: 64 << 20 }, (error, out, err) =>
      resolve({ code: error?.code ?? 0, stdout: out, stderr: err }));
  });
  assert.strictEqual(code, 1, stderr);
  const result = JSON.parse(stdout.trimEnd().split('\n').at(-1));
  assert.ok(result.violations > 0, stderr);
  assert.match(result.why.join('\n'), /keys are not linearizable/);
  assert.match(stderr, /no order of the first \d+ answers explains the last of them:/);
  const [, kept] = stderr.match(/are kept in (\S+)/);
  assert.ok(fs.readFileSync(path.join(kept, 'history.jsonl'), 'utf8').includes('"op":"read"'));
  fs.rmSync(kept, { recursive: true });
});
