// What we set out to reach, and whether these figures do; only what was measured is judged.
'use strict';

const KILL_MEDIAN_MS = 30;
const KILL_MAX_MS = 60;
const SYNC_P99_MS = 2; // on a slower disk the worst case is the disk's

function failoverGoals(rows, syncP99Ms) {
  const goals = [];
  for (const row of rows) {
    const at = `at ${row.election_ms}/${row.heartbeat_ms}`;
    if (row.fault === 'kill') {
      goals.push({ goal: `kill -9 ${at}: median at most ${KILL_MEDIAN_MS} ms`,
        met: row.fettle.median_ms <= KILL_MEDIAN_MS });
      if (syncP99Ms <= SYNC_P99_MS) {
        goals.push({ goal: `kill -9 ${at}: at worst ${KILL_MAX_MS} ms`,
          met: row.fettle.max_ms <= KILL_MAX_MS });
      }
    } else {
      goals.push({ goal: `${row.fault} ${at}: median no longer than etcd's`,
        met: row.ratio.median_ms <= 1 });
    }
  }
  return goals;
}

function throughputGoals(rows) {
  return rows.map((row) => ({
    goal: `${row.writers} writers at the ${row.at}: at least etcd's commits`,
    met: row.ratio.commits_per_s >= 1,
  }));
}

module.exports = { failoverGoals, throughputGoals };
