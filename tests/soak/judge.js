// The judge of a soak: pure functions from samples, counts and flaps to figures, and from figures
// to what did not hold.
'use strict';

/** RSS may grow by this much beyond noise. */
const GROWTH_KIB_PER_10_MIN = 1024;
/** What malloc, SQLite's cache and the kernel's accounting move by themselves. */
const NOISE_KIB = 512;
/** What one flap may leave: its log entries (not compacted yet), its incident, runs and events. */
const FLAP_KIB = 24;
/** Of the looks that were due. */
const MISSED_SHARE_MAX = 0.001;
const FIFTHS = 5;

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** What a quarter of the numbers reach. */
function upperQuartile(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * 0.75)];
}

/** `measure` of the last fifth of a window minus that of its first fifth, for one figure. */
function growth(samples, key, measure = median) {
  const fifth = Math.max(1, Math.floor(samples.length / FIFTHS));
  const values = samples.map((sample) => sample[key]);
  return measure(values.slice(-fifth)) - measure(values.slice(0, fifth));
}

const round = (number, digits = 1) => Number(number.toFixed(digits));
const seconds = (samples) => (samples.at(-1).at - samples[0].at) / 1000;

/**
 * The figures of one window: its samples, and the counts of every steady node at its begin and end
 * with the time between them. A node that is looked at once a second must have been looked at, in
 * T seconds, at least floor(T) times; what lacks is missed.
 */
function windowFigures(samples, before, after, elapsedS) {
  const looks = after.map((count, i) => count - before[i]);
  const due = Math.floor(elapsedS);
  const missed = looks.reduce((sum, count) => sum + Math.max(0, due - count), 0);
  return {
    seconds: round(elapsedS),
    looks_per_s: round(looks.reduce((a, b) => a + b, 0) / elapsedS),
    looks_least: Math.min(...looks),
    looks_most: Math.max(...looks),
    looks_due: due,
    looks_missed: missed,
    cpu_share: round((samples.at(-1).cpu_s - samples[0].cpu_s) / seconds(samples), 3),
    rss_kib: median(samples.map((one) => one.rss_kib)),
    rss_growth_kib: growth(samples, 'rss_kib'),
    heap_growth_kib: growth(samples, 'heap_kib'),
    // A node that is down has no connection, for about half of the time: a median would tell of
    // chance. The upper quartile is the count while all are up, without an alert's short peaks.
    descriptors_growth: growth(samples, 'descriptors', upperQuartile),
    threads_growth: growth(samples, 'threads'),
    databases_kib: samples.at(-1)['group.db'] + samples.at(-1)['host.db'],
    wal_kib_max: Math.max(...samples.map((one) => one['group.db-wal'] + one['host.db-wal'])),
  };
}

/** How far RSS may grow over a window, from the middle of its first fifth to that of its last. */
function rssBound(elapsedS, flaps) {
  const share = 1 - 1 / FIFTHS;
  const time = (GROWTH_KIB_PER_10_MIN * elapsedS * share) / 600;
  return round(NOISE_KIB + time + FLAP_KIB * flaps * share);
}

function checkWindow(name, figures, nodes, why) {
  if (figures.rss_growth_kib > figures.rss_bound_kib)
    why.push(`${name}: RSS grew by ${figures.rss_growth_kib} KiB, over ${figures.rss_bound_kib}`);
  if (figures.descriptors_growth !== 0)
    why.push(`${name}: descriptors changed by ${figures.descriptors_growth}`);
  if (figures.threads_growth !== 0)
    why.push(`${name}: threads changed by ${figures.threads_growth}`);
  if (figures.looks_missed > MISSED_SHARE_MAX * figures.looks_due * nodes)
    why.push(`${name}: ${figures.looks_missed} of ${figures.looks_due * nodes} looks were missed`);
}

module.exports = { windowFigures, rssBound, checkWindow, median, round };
