// Members killed (kill -9) at moments by chance, from a node's death to past the end of its run of
// five steps: the leader, the host that acts, or the one that is both. Every run ends, and nothing
// is done or told twice, as counted outside Fettle. `MOMENTS=100 SEED=7 node --test FILE` for more
// of it; KEEP=FOLDER keeps what a failed one leaves. A member that is restarted replays the whole
// log, so a new group takes over after some moments (EACH=100: one group for all).
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { Scene } = require('./support/scene.js');
const { Setting, PROGRAMS, NAMES, chance, spread } = require('./support/moments.js');

const MOMENTS = Number(process.env.MOMENTS || 8);
const SEED = Number(process.env.SEED || Date.now() % 1e6);
const EACH = Number(process.env.EACH || 25);
const KEEP = process.env.KEEP;
const UNDISTURBED = 1;
/** How far past the end of an undisturbed run a kill may come. */
const BEYOND = 1.2;
const KINDS = ['leader', 'host', 'leader', 'leader and host'];
const OVER_MS = 60000;
const TOLD_MS = 30000;
const QUIET_MS = 3000;
const SETUP_MS = 90000;
const MOMENT_MS = 15000;

const untilOver = (setting, death) =>
  setting.scene.bus.until(`the run of ${death.node} is over`, OVER_MS, () => setting.ended(death));

/** How long a run takes, from the death to its end, when nobody is killed. */
async function undisturbed(setting) {
  const took = [];
  for (const host of NAMES) {
    const death = setting.die(host);
    const end = await untilOver(setting, death);
    took.push(end.arrived - death.at);
    setting.deaths.push(death);
  }
  return Math.max(...took);
}

/** The service whose host makes the victim what `kind` says, while it has nodes to lose. */
function choose(setting, kind, leader) {
  const fits = (host) => (kind === 'leader and host') === (host === leader);
  const byNodes = NAMES.filter((host) => setting.left(host) > 0).sort(
    (a, b) => fits(b) - fits(a) || setting.left(b) - setting.left(a),
  );
  const host = byNodes[0];
  return { host, victim: kind === 'host' ? host : leader };
}

/** How far the run was, by the last event that had come when the member was killed. */
function phase(setting, { node, at, killed }) {
  const last = setting.events.all.findLast(
    (one) => one.arrived >= at && one.arrived < killed && one.node === node,
  );
  if (!last) return 'before the verdict';
  if (last.kind === 'step.started') return `in ${last.step}`;
  if (last.kind === 'step.finished') return `after ${last.step}`;
  return last.kind === 'run.finished' ? 'after the end' : 'at the start';
}

async function moment(setting, kind, delayMs) {
  const { scene, group } = setting;
  const leader = await setting.leader();
  const { host, victim } = choose(setting, kind, leader);
  const death = { ...setting.die(host), leader, victim, delayMs };
  setting.deaths.push(death);
  await sleep(delayMs);
  const dying = scene.processes.kill(victim);
  death.killed = performance.now();
  await dying.exit;
  const back = group.start(victim);
  const over = untilOver(setting, death);
  await Promise.all([back, over]);
  death.phase = phase(setting, death);
  const parts = [victim === leader && 'leader', victim === host && 'host'];
  death.what = parts.filter(Boolean).join(' and ');
  death.tookMs = setting.ended(death).arrived - death.at;
}

/** What one run did: by its own word, by its programs' lines, by HAProxy and the receivers. */
async function judge(setting, death, acts, why) {
  const { group, events, oncall, pager, watch } = setting;
  const { node } = death;
  const { run: id, incident } = setting.started(death);
  const run = await group.get(NAMES[0], `/v1/runs/${id}`);
  death.run = run;
  const when = death.what ? `${death.what} killed ${death.phase}` : 'undisturbed';
  const wrong = (what) => why.push(`${node} (run ${id}, ${when}): ${what}`);
  if (!['succeeded', 'failed'].includes(run.state)) wrong(`it is ${run.state}`);
  if (run.state === 'failed' && !run.steps.some((step) => step.reason)) wrong('it tells no reason');
  for (const step of run.steps.filter((one) => PROGRAMS.includes(one.id))) {
    const times = acts.filter((act) => act.run === id && act.step === step.id).length;
    const least = step.state === 'succeeded' ? 1 : 0;
    if (times < least || times > 1) wrong(`${step.id} ${step.state}, and acted ${times} times`);
    if (step.state !== 'succeeded' && !step.reason) wrong(`${step.id} tells no reason`);
  }
  const { attempt } = run.steps[0];
  const orders = setting.orders(node);
  death.orders = orders;
  if (orders < 1 || orders > attempt) wrong(`${orders} orders to HAProxy in ${attempt} attempts`);
  if (watch.states.get(node) !== 'maint') wrong(`HAProxy has it ${watch.states.get(node)}`);
  const changes = watch.changes.filter((one) => one.server === node && one.before !== undefined);
  if (changes.length !== 1) wrong(`HAProxy saw ${changes.map((one) => one.state).join(', ')}`);
  for (const [name, receiver] of Object.entries({ oncall, pager })) {
    const ids = new Set(receiver.of(incident, 'firing').map((one) => one.id));
    if (ids.size !== 1) wrong(`${name} was told under ${ids.size} ids: ${[...ids].join(', ')}`);
  }
  const runs = events.all.filter((one) => one.kind === 'run.started' && one.node === node);
  if (runs.length !== 1) wrong(`${runs.length} runs: ${runs.map((one) => one.value).join(', ')}`);
}

/** One leader, and the same picture at every member, by the word of each alone. */
async function agreed(setting, why) {
  const { group, scene } = setting;
  const views = ['status', 'incidents', 'runs'];
  const ask = (name) =>
    Promise.all(views.map((view) => group.get(name, `/v1/${view}?consistency=stale`)));
  const digest = ([{ cluster, services }, { incidents }, { runs }]) =>
    JSON.stringify([cluster.leader, cluster.commit_index, services, incidents, runs]);
  const end = performance.now() + TOLD_MS;
  for (;;) {
    const digests = (await Promise.all(NAMES.map(ask))).map(digest);
    if (new Set(digests).size === 1 && NAMES.includes(JSON.parse(digests[0])[0])) return;
    if (performance.now() > end) return why.push(`the members differ: ${digests.join('\n')}`);
    await scene.bus.pass(100);
  }
}

async function judgeAll(setting, why) {
  const { scene, deaths, effects, events, oncall, pager } = setting;
  const told = (death, receiver) =>
    receiver.of(setting.started(death).incident, 'firing').length > 0;
  await scene.bus
    .until('every death is told', TOLD_MS, () =>
      deaths.every((death) => told(death, oncall) && told(death, pager)),
    )
    .catch((error) => why.push(error.message));
  await scene.bus.pass(QUIET_MS);
  const acts = effects.acts();
  for (const death of deaths) await judge(setting, death, acts, why);
  const twice = acts.length - new Set(acts.map((act) => act.key)).size;
  if (twice) why.push(`${twice} keys were acted on twice`);
  const dead = new Set(deaths.map((death) => death.node));
  const opened = events.all.filter((one) => one.kind === 'incident.opened');
  const others = opened.filter((one) => one.node && !dead.has(one.node));
  for (const one of others) why.push(`an incident of ${one.node}, which lives: ${one.reason}`);
  const ofDead = opened.length - opened.filter((one) => !dead.has(one.node)).length;
  if (ofDead !== dead.size) why.push(`${ofDead} incidents of ${dead.size} deaths`);
  for (const [server, state] of setting.watch.states) {
    if (!dead.has(server) && state !== 'ready') why.push(`${server} lives, but is ${state}`);
  }
  const duplicates = oncall.duplicates() + pager.duplicates();
  if (duplicates) why.push(`${duplicates} notices came under a second id`);
  await agreed(setting, why);
  return { acts: acts.length, twice, duplicates, own: opened.filter((one) => !one.node).length };
}

function counts(items) {
  const of = new Map();
  for (const item of items) of.set(item, (of.get(item) || 0) + 1);
  const sorted = [...of].sort((a, b) => b[1] - a[1]);
  return sorted.map(([item, count]) => `${item} ${count}`).join(', ');
}

function summary(moments, totals, normalMs) {
  const sum = (key) => totals.reduce((all, one) => all + one[key], 0);
  const inDoubt = moments
    .flatMap((one) => one.run.steps.flatMap((step) => step.tasks))
    .filter((task) => task.state === 'in_doubt').length;
  const orders = moments.reduce((all, one) => all + one.orders, 0);
  const took = moments.map((one) => Math.round(one.tookMs)).sort((a, b) => a - b);
  return [
    `killed: ${counts(moments.map((one) => one.what))}`,
    `when: ${counts(moments.map((one) => one.phase))}`,
    `runs: ${counts(moments.map((one) => one.run.state))}; steps in doubt: ${inDoubt}; ` +
      `programs that acted, those of undisturbed runs included: ${sum('acts')}; ` +
      `an undisturbed run took at most ${Math.round(normalMs)} ms, ` +
      `a disturbed one ${took[took.length >> 1]} ms (median), at most ${took.at(-1)} ms; ` +
      `incidents of Fettle itself: ${sum('own')}`,
    `seed ${SEED}: ${moments.length} moments, ${moments.length} runs ended, ` +
      `${sum('twice')} keys acted on twice, ${orders} orders to HAProxy, ` +
      `${sum('duplicates')} notices under a second id`,
  ].join('\n');
}

/** Sockets cannot be copied. */
function keep(setting, scene) {
  const { events, deaths, counted } = setting;
  const seen = { deaths, commands: counted.commands, events: events.all };
  fs.writeFileSync(path.join(scene.folder, 'seen.json'), JSON.stringify(seen, null, 1));
  const isPlain = (file) => fs.statSync(file).isFile() || fs.statSync(file).isDirectory();
  fs.cpSync(scene.folder, KEEP, { recursive: true, filter: isPlain });
}

/** One group's moments: `shares` say when in a run, from 0 to 1; {moments, totals, normalMs}. */
async function playGroup(scene, shares, first) {
  const setting = await Setting.start(scene, shares.length, UNDISTURBED);
  setting.deaths = [];
  const why = [];
  try {
    const normalMs = await undisturbed(setting);
    for (const [i, share] of shares.entries()) {
      await moment(setting, KINDS[(first + i) % KINDS.length], share * BEYOND * normalMs);
    }
    const totals = await judgeAll(setting, why);
    assert.deepStrictEqual(why, []);
    return { moments: setting.deaths.filter((one) => one.victim), totals, normalMs };
  } catch (error) {
    if (KEEP) keep(setting, scene);
    throw error;
  }
}

test('members killed at any moment of a run: it ends, and nothing is done twice',
  { timeout: Math.ceil(MOMENTS / EACH) * SETUP_MS + MOMENTS * MOMENT_MS },
  async () => {
    console.log(`seed ${SEED}, ${MOMENTS} moments`);
    const shares = spread(chance(SEED), MOMENTS);
    const done = [];
    for (let first = 0; first < MOMENTS; first += EACH) {
      await Scene.play(async (scene) => {
        done.push(await playGroup(scene, shares.slice(first, first + EACH), first));
      });
      console.log(`${Math.min(first + EACH, MOMENTS)} of ${MOMENTS} moments`);
    }
    const moments = done.flatMap((one) => one.moments);
    const normalMs = Math.max(...done.map((one) => one.normalMs));
    console.log(summary(moments, done.map((one) => one.totals), normalMs));
  },
);
