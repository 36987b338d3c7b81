// Throughput: commits a second and how long each takes, by the number of writers that wait for
// their own; at the leader, and through a follower.
'use strict';

const fs = require('node:fs');
const { measure } = require('./client.js');

const WARM_UP_S = 1;
const SLACK_MS = 60000;
const ETCD_CONNECTIONS = 8; // HTTP/2 connections, at most one a writer
const TICKS_A_SECOND = 100; // of /proc/PID/stat (sysconf(_SC_CLK_TCK), 100 on Linux)

/** Seconds of CPU that a process has used. */
function cpuSeconds(pid) {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

/** One window of `seconds` with `writers` at member `name`. */
async function throughput({ scene, kind, system }, { name, writers, seconds }) {
  const socket = system.sockets[system.names.indexOf(name)];
  const pids = system.names.map((one) => scene.processes.started.get(one).pid);
  const used = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const before = used();
  const said = await measure(
    [
      'write', '--system', kind, '--writers', String(writers),
      '--connections', String(Math.min(writers, ETCD_CONNECTIONS)),
      '--warm-up', String(WARM_UP_S), '--seconds', String(seconds), socket,
    ],
    (WARM_UP_S + seconds) * 1000 + SLACK_MS,
  );
  const members = (used() - before) / (WARM_UP_S + seconds);
  if (said.failed > 0) throw new Error(`${kind}: ${said.failed} writes failed`);
  return {
    commits_per_s: said.commits / said.seconds,
    p50_ms: said.p50_us / 1000,
    p99_ms: said.p99_us / 1000,
    client_cpu: said.client_cpu,
    members_cpu: members,
  };
}

module.exports = { throughput, WARM_UP_S };
