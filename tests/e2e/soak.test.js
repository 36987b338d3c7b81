// `./dev soak` in small, on the built daemon; and that its judge can say no.
'use strict';

const assert = require('node:assert');
const path = require('node:path');
const { test } = require('node:test');
const { runToEnd } = require('../../trial/lib/processes.js');
const { windowFigures, rssBound, checkWindow } = require('../soak/judge.js');
const { ROOT, BIN } = require('./support/scene.js');

const SOAK_MS = 200000;

test('300 nodes, a look a second each, and flaps: the member stays as it is', { timeout: SOAK_MS },
  async () => {
    const args = ['--minutes', '0.7', '--nodes', '300', '--output', 'json', '--bin', BIN];
    const soak = path.join(ROOT, 'tests/soak/soak.js');
    const said = await runToEnd(process.execPath, [soak, ...args], SOAK_MS);
    const result = JSON.parse(said.trimEnd().split('\n').at(-1));
    assert.deepStrictEqual(result.why, []);
    assert.strictEqual(result.ok, true);
    assert.strictEqual(result.flaps.seen, result.flaps.done);
    assert.ok(result.flaps.done >= 5);
    assert.strictEqual(result.false_verdicts, 0);
    assert.ok(result.per_flap.log_bytes > 0);
  },
);

/** A window of 100 s, a sample a second, of ten nodes; `change` spoils a sample by its number. */
function windowOf(change = () => ({}), looks = 100) {
  const samples = Array.from({ length: 100 }, (_, i) => ({
    at: i * 1000,
    rss_kib: 20000 + (i % 3) * 4,
    heap_kib: 9000,
    threads: 5,
    descriptors: 30,
    cpu_s: i * 0.1,
    'group.db': 100,
    'group.db-wal': 400,
    'host.db': 20,
    'host.db-wal': 40,
    ...change(i),
  }));
  const figures = windowFigures(samples, Array(10).fill(7), Array(10).fill(7 + looks), 100.5);
  return { ...figures, rss_bound_kib: rssBound(figures.seconds, 0) };
}

function judged(figures) {
  const why = [];
  checkWindow('window', figures, 10, why);
  return why;
}

test('the judge of a soak passes what is flat and names what is not', () => {
  assert.deepStrictEqual(judged(windowOf()), []);
  const peak = windowOf((i) => (i % 20 === 0 ? { rss_kib: 40000, descriptors: 31 } : {}));
  assert.deepStrictEqual(judged(peak), [], 'single peaks are no growth');
  const half = windowOf((i) => ({ descriptors: i % 20 < (i < 50 ? 9 : 11) ? 30 : 29 }));
  assert.deepStrictEqual(judged(half), [], 'a node that is down half of the time is no growth');
  assert.match(judged(windowOf((i) => ({ rss_kib: 20000 + 10 * i })))[0], /RSS grew by 800 KiB/);
  assert.match(judged(windowOf((i) => ({ descriptors: 30 + (i >> 5) })))[0], /descriptors changed/);
  assert.match(judged(windowOf((i) => ({ threads: i < 50 ? 5 : 6 })))[0], /threads changed by 1/);
  assert.match(judged(windowOf(undefined, 98))[0], /20 of 1000 looks were missed/);
});
