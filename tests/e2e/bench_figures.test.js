// What the bench makes of what it measured, and that a seed brings the same faults again.
'use strict';

const assert = require('node:assert');
const { test } = require('node:test');
const { quantile, median, randomOf } = require('../../bench/lib/figures.js');

test('the median of an even number of trials lies between the two in the middle', () => {
  assert.strictEqual(median([40, 10, 30, 20]), 25);
  assert.strictEqual(median([30, 10, 20]), 20);
});

test('a quantile is a value that was measured, and the last one is the largest', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  assert.strictEqual(quantile(values, 0.99), 100);
  assert.strictEqual(quantile(values, 0.9), 91);
  assert.strictEqual(quantile(values, 1), 100);
  assert.deepStrictEqual(values.slice(0, 2), [100, 99], 'the values stay as they were');
});

test('a seed repeats its numbers, another seed has others, all from 0 up to 1', () => {
  const take = (seed) => Array.from({ length: 1000 }, randomOf(seed));
  assert.deepStrictEqual(take(7), take(7));
  assert.notDeepStrictEqual(take(7), take(8));
  assert.ok(take(7).every((one) => one >= 0 && one < 1));
  const mean = take(7).reduce((sum, one) => sum + one, 0) / 1000;
  assert.ok(Math.abs(mean - 0.5) < 0.05, `the mean is ${mean}`);
});
