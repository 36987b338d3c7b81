'use strict';

/** The value that `share` of the sorted values do not pass (0.5: the median). */
function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  if (share === 0.5 && sorted.length % 2 === 0) {
    return (sorted[sorted.length / 2 - 1] + sorted[sorted.length / 2]) / 2;
  }
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

const median = (values) => quantile(values, 0.5);

const round = (value, digits = 1) => Number(value.toFixed(digits));

/** A generator of numbers in [0, 1) that repeats from its seed (mulberry32). */
function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

module.exports = { quantile, median, round, randomOf };
