// Failover: what a client that writes every 2 ms waits for its next committed write when the leader
// is killed, paused or cut off. After each trial the member comes back, and the next begins once
// the group is whole: every member has caught up, knows the leader, and takes writes.
'use strict';

const { Pulse, now } = require('./client.js');
const { quantile, median, round } = require('./figures.js');

const NEXT_WRITE_MS = 30000;
const WHOLE_MS = 60000;
const LOOK_AGAIN_MS = 20;

const FAULTS = {
  kill: {
    text: 'killed (kill -9)',
    strike: ({ processes }, name) => processes.kill(name),
    async mend({ processes, system }, name) {
      await processes.started.get(name).exit;
      system.restart(name);
    },
  },
  pause: {
    text: 'paused (SIGSTOP)',
    strike: ({ processes }, name) => processes.signal(name, 'SIGSTOP'),
    mend: ({ processes }, name) => processes.signal(name, 'SIGCONT'),
  },
  blackhole: {
    text: 'black-holed',
    strike: ({ network, system }, name) => network.cut(system.names.indexOf(name)),
    mend: ({ network, system }, name) => network.heal(system.names.indexOf(name)),
  },
};

/** The leader that all members name, once each has caught up and is connected. */
async function agreedLeader(system) {
  try {
    const views = await Promise.all(system.names.map((name) => system.view(name)));
    const [{ leader }] = views;
    return leader && views.every((one) => one.leader === leader && one.connected) ? leader : null;
  } catch {
    return null;
  }
}

async function untilWhole({ scene, system, pulse }) {
  const end = performance.now() + WHOLE_MS;
  for (;;) {
    const before = now();
    const leader = await agreedLeader(system);
    if (leader) {
      await pulse.writtenThroughAll(before, WHOLE_MS);
      return leader;
    }
    if (scene.bus.failure) throw scene.bus.failure;
    if (performance.now() > end) throw new Error('the group does not become whole again');
    await scene.bus.pass(LOOK_AGAIN_MS);
  }
}

async function trial(setting, fault, restMs) {
  const { scene, pulse } = setting;
  const leader = await untilWhole(setting);
  await scene.bus.pass(restMs);
  const at = now();
  fault.strike(setting, leader);
  const next = await pulse.nextWrite(at, NEXT_WRITE_MS);
  await fault.mend(setting, leader);
  return next - at;
}

/** `trials` of one fault against one group of its own. */
async function failover(setting, { fault, trials, random, electionMs, tell }) {
  const pulse = new Pulse(setting.scene, setting.kind, setting.system);
  const all = { ...setting, pulse };
  const times = [];
  for (let i = 0; i < trials; i += 1) {
    // At any moment between two heartbeats, and after elections' timers have been set anew.
    times.push(round(await trial(all, FAULTS[fault], random() * electionMs)));
    tell(`${i + 1}/${trials}: ${times.at(-1)} ms`);
  }
  await pulse.close();
  return {
    median_ms: round(median(times)),
    p90_ms: round(quantile(times, 0.9)),
    max_ms: Math.max(...times),
    times_ms: times,
    writes: pulse.counts,
  };
}

module.exports = { failover, FAULTS };
