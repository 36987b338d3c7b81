// The planted defects (docs/simulator.md): switches each on, by name, in the simulator's build, and
// counts as found the one that every profile or story named for it in table.json finds. Also
// compares the table with the sources: a switch without a line, or a line without a switch, is an
// error. Owns nothing; ./dev mutants and the tests drive it.
'use strict';

const { execFile } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const SEEDS_MAX = 2000;
const STORY = 'story';
const STORY_MS = 60_000;
const ROOT = path.join(__dirname, '..', '..');

const table = () => JSON.parse(fs.readFileSync(path.join(__dirname, 'table.json'), 'utf8'));

/** The names that the sources of `core` and `raft` switch on. */
function switches() {
  const names = new Set();
  for (const folder of ['core', 'raft']) {
    for (const file of fs.readdirSync(path.join(ROOT, folder))) {
      if (!/\.(cc|h)$/.test(file)) continue;
      const text = fs.readFileSync(path.join(ROOT, folder, file), 'utf8');
      for (const [, name] of text.matchAll(/FETTLE_MUTANT\((\w+)\)/g)) names.add(name);
    }
  }
  return names;
}

/** What differs between the table and the sources; empty: nothing. */
function differences(known, used) {
  const missing = [...used].filter((name) => !(name in known)).map((name) => `${name}: no line`);
  const dead = Object.keys(known).filter((name) => !used.has(name));
  return [...missing, ...dead.map((name) => `${name}: no switch`)];
}

/** One program's end and output; null as `code`: it was ended by a signal. */
function run(program, args, timeout = 0) {
  const options = { timeout, maxBuffer: 1 << 28, killSignal: 'SIGKILL' };
  return new Promise((resolve) => {
    execFile(program, args, options, (error, stdout) => {
      if (error && typeof error.code === 'string') throw error;
      resolve({ code: error ? error.code : 0, timedOut: Boolean(error && error.killed), stdout });
    });
  });
}

/** @returns {Promise<object>} what a profile made of it; `found` says whether a seed failed. */
async function bySeeds({ bin, jobs }, name, profile) {
  const args = ['--seeds', SEEDS_MAX, '--jobs', jobs, '--profile', profile, '--output', 'json'];
  const { stdout } = await run(path.join(bin, 'fettle-sim'), [...args, '--mutant', name]);
  const told = JSON.parse(stdout.trim().split('\n').at(-1));
  const seen = { how: 'profile', found: told.failed > 0, profile, seeds: told.seeds };
  if (!seen.found) return seen;
  const { seed, what } = told.first_failure;
  if (await failsAnyway(bin, { profile, seed })) {
    throw new Error(`seed ${seed} of the profile ${profile} fails without any defect`);
  }
  return { ...seen, seed, what };
}

/** Whether the seed fails without the defect too: then it has found something else. */
async function failsAnyway(bin, { profile, seed }) {
  const args = ['--first-seed', seed, '--seeds', 1, '--profile', profile];
  return (await run(path.join(bin, 'fettle-sim'), args)).code !== 0;
}

/** The story that failed first; one that never ends, or ends the process, is the one that ran. */
async function byStory(bin, name) {
  const args = ['--mutant', name, '--gtest_fail_fast', '--gtest_color=no'];
  const { code, stdout } = await run(path.join(bin, 'raft_stories_mutants'), args, STORY_MS);
  if (code === 0) return { how: 'story', found: false, story: null };
  const failed = stdout.match(/^\[ {2}FAILED {2}\] \w+\/\w+\.\w+\/(\w+)/m);
  const ran = [...stdout.matchAll(/^\[ RUN +\] \w+\/\w+\.\w+\/(\w+)/gm)].at(-1);
  const which = failed ?? ran;
  return { how: 'story', found: Boolean(which), story: which ? which[1] : null };
}

function shown(seen) {
  if (seen.how === 'story') return seen.found ? `story ${seen.story}` : 'NO STORY';
  if (!seen.found) return `NOT IN ${seen.seeds} SEEDS of ${seen.profile}`;
  return `${seen.profile}, seed ${seen.seed}: ${seen.what.split('\n')[0].slice(0, 100)}`;
}

async function hunt(order) {
  const known = table();
  const differ = differences(known, switches());
  if (differ.length > 0) throw new Error(`table.json and the sources differ: ${differ.join(', ')}`);
  const { code } = await run(path.join(order.bin, 'raft_stories_mutants'), [], STORY_MS);
  if (code !== 0) throw new Error('the stories fail without any defect');
  const names = Object.keys(known).filter((name) => !order.only || order.only.includes(name));
  const by = {};
  const survivors = [];
  for (const name of names) {
    const ways = [];
    for (const way of known[name]) {
      const bySome = way === STORY ? byStory(order.bin, name) : bySeeds(order, name, way);
      ways.push(await bySome);
    }
    const found = ways.length > 0 && ways.every((seen) => seen.found);
    if (!found) survivors.push(name);
    const how = ways.map((seen) => seen.how).join(' and ');
    by[name] = Object.assign({}, ...ways, { how, found });
    console.error(`${found ? 'found   ' : 'SURVIVES'} ${name}: ${ways.map(shown).join('; ')}`);
  }
  return { mutants: names.length, found: names.length - survivors.length, survivors, by };
}

/** The names that stand somewhere in a program; stripped or not, a switch keeps its name. */
function namesIn(program) {
  const bytes = fs.readFileSync(program);
  return Object.keys(table()).filter((name) => bytes.includes(name));
}

function absentFrom(programs, withThem) {
  const known = Object.keys(table()).length;
  const there = namesIn(withThem);
  if (there.length !== known) {
    throw new Error(`${withThem} holds ${there.length} of ${known} switches`);
  }
  for (const program of programs) {
    const names = namesIn(program);
    if (names.length > 0) throw new Error(`${program} holds ${names.join(', ')}`);
    console.log(`${program}: none of ${known}`);
  }
}

function parse(args) {
  const order = { bin: path.join(ROOT, 'build/release/bin'), jobs: 2, output: '', absent: [] };
  for (let i = 0; i < args.length; i += 2) {
    const [word, value] = [args[i], args[i + 1]];
    if (value === undefined) throw new Error(`${word} needs a value`);
    if (word === '--output' && value === 'json') order.output = value;
    else if (word === '--bin') order.bin = value;
    else if (word === '--jobs') order.jobs = Number(value);
    else if (word === '--only') order.only = value.split(',');
    else if (word === '--absent-from') order.absent.push(value);
    else throw new Error(`unknown argument ${word} ${value}`);
  }
  const unknown = (order.only ?? []).filter((name) => !(name in table()));
  if (unknown.length > 0) throw new Error(`no such defect: ${unknown.join(', ')}`);
  return order;
}

async function main(args) {
  const order = parse(args);
  if (order.absent.length > 0) return absentFrom(order.absent, path.join(order.bin, 'fettle-sim'));
  const result = await hunt(order);
  if (order.output === 'json') console.log(JSON.stringify(result));
  else console.log(`${result.found} of ${result.mutants} planted defects found`);
  if (result.survivors.length > 0) process.exitCode = 1;
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`mutants: ${error.message}`);
  process.exitCode = 2;
});
