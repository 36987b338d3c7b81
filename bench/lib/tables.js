// The figures as tables for people, in Markdown, as docs/benchmarks.md has them.
'use strict';

function table(head, rows) {
  const all = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, i) => Math.max(...all.map((row) => row[i].length)));
  const line = (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`;
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return `${[line(all[0]), rule, ...all.slice(1).map(line)].join('\n')}\n`;
}

function failoverTable(rows, faults) {
  return table(
    [
      'election / heartbeat', 'leader', 'Fettle median', 'max', 'etcd median', 'max',
      'ratio of medians',
    ],
    rows.map((row) => [
      `${row.election_ms} / ${row.heartbeat_ms} ms`,
      faults[row.fault].text,
      `${row.fettle.median_ms} ms`,
      `${row.fettle.max_ms} ms`,
      `${row.etcd.median_ms} ms`,
      `${row.etcd.max_ms} ms`,
      row.ratio.median_ms,
    ]),
  );
}

function throughputTable(rows) {
  const of = (one) => [
    one.commits_per_s, `${one.p50_ms} ms`, `${one.p99_ms} ms`, one.members_cpu, one.client_cpu,
  ];
  const head = (name) => [`${name} commits/s`, 'p50', 'p99', 'cores of members', 'of client'];
  return table(
    ['writers', ...head('Fettle'), ...head('etcd'), 'ratio of commits'],
    rows.map((row) => [
      `${row.writers} at ${row.at}`, ...of(row.fettle), ...of(row.etcd), row.ratio.commits_per_s,
    ]),
  );
}

module.exports = { failoverTable, throughputTable };
