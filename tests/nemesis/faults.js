// Faults: one entry a kind. A fault is made with a cluster and chance; `touches` names what no other
// fault may touch meanwhile (a member's process, its clock, the network); `begin` and `end` do and
// undo it; `during`, where there is one, goes on between them until `over()`.
'use strict';

const SHARES = [10, 25, 50];
const FLAP_MS = [150, 1200];
const STORM_MS = [200, 1200];
const SLOW_KBIT = [48, 400];
const STEP_MS = [1000, 12 * 3600 * 1000]; // within what certificates and their day of grace allow
const STEPS_MAX = 3;
const LINGER_MS = [0, 2000];
const TRANSFER_EVERY_MS = [300, 1500];

const process = (name) => `process of ${name}`;
const NETWORK = 'network';
/** One member less at a time: what a group of three must be able to spare. */
const MEMBERSHIP = 'membership';

function killed(cluster, name) {
  return {
    what: `kill -9 ${name}`,
    touches: [process(name)],
    begin: () => cluster.kill(name),
    end: () => cluster.launch(name),
  };
}

function paused(cluster, name) {
  return {
    what: `SIGSTOP ${name}`,
    touches: [process(name)],
    begin: () => cluster.pause(name),
    end: () => cluster.resume(name),
  };
}

/** The leader, or anyone if nobody is known to lead. */
const leaderOf = async (cluster, rng) => (await cluster.leader()) ?? rng.pick(cluster.names);

/** Removed while it lives on for a while; its host then goes, and another with its name comes. */
function replaced(cluster, rng, name) {
  const linger = rng.int(...LINGER_MS);
  const startsFirst = rng.chance(50);
  return {
    what: `remove ${name} and add it back, empty${startsFirst ? '; it starts before' : ''}`,
    touches: [process(name), MEMBERSHIP],
    begin: () => cluster.remove(name),
    during: async (pass) => {
      await pass(linger);
      await cluster.lose(name);
      if (startsFirst) cluster.launch(name); // nobody wants it yet
    },
    end: async () => {
      if (!startsFirst) cluster.launch(name);
      await cluster.add(name);
    },
  };
}

function lossy(cluster, what, percent, pairs) {
  return {
    what,
    touches: [NETWORK],
    begin: () => cluster.drop(percent, pairs),
    end: () => cluster.pass(),
  };
}

/** Every pair between the two groups, both ways. */
const between = (some, others) =>
  some.flatMap((a) => others.flatMap((b) => [[a, b], [b, a]]));

/** Every pair of two different members, one way each. */
const everyPair = (names) =>
  names.flatMap((a) => names.filter((b) => b !== a).map((b) => [a, b]));

const KINDS = {
  kill: (cluster, rng) => killed(cluster, rng.pick(cluster.names)),

  kill_leader: async (cluster, rng) => killed(cluster, await leaderOf(cluster, rng)),

  stop: (cluster, rng) => {
    const name = rng.pick(cluster.names);
    return {
      what: `SIGTERM to ${name}`,
      touches: [process(name)],
      begin: () => cluster.stop(name),
      end: () => cluster.launch(name),
    };
  },

  kill_all: (cluster) => ({
    what: 'kill -9 all',
    touches: cluster.names.map(process),
    begin: () => Promise.all(cluster.names.map((name) => cluster.kill(name))),
    end: () => cluster.names.forEach((name) => cluster.launch(name)),
  }),

  pause: (cluster, rng) => paused(cluster, rng.pick(cluster.names)),

  pause_leader: async (cluster, rng) =>
    paused(cluster, await leaderOf(cluster, rng)),

  restart_storm: (cluster, rng) => {
    const name = rng.pick(cluster.names);
    return {
      what: `kill -9 ${name} again and again`,
      touches: [process(name)],
      begin: () => cluster.kill(name),
      during: async (pass, over) => {
        while (!over()) {
          cluster.launch(name);
          await pass(rng.int(...STORM_MS));
          await cluster.kill(name);
        }
      },
      end: () => cluster.launch(name),
    };
  },

  replace: (cluster, rng) => replaced(cluster, rng, rng.pick(cluster.names)),

  replace_leader: async (cluster, rng) => replaced(cluster, rng, await leaderOf(cluster, rng)),

  disk_lost: (cluster, rng) => {
    const name = rng.pick(cluster.names);
    return {
      what: `kill -9 ${name}, and its disk is lost: removed and added again once it is back`,
      touches: [process(name), MEMBERSHIP],
      begin: async () => {
        await cluster.lose(name);
        cluster.launch(name);
      },
      end: async () => {
        await cluster.remove(name);
        await cluster.add(name);
      },
    };
  },

  transfer: (cluster, rng) => ({
    what: 'the leadership is handed over, again and again',
    touches: [MEMBERSHIP],
    begin: async () => {},
    during: async (pass, over) => {
      while (!over()) {
        await cluster.transfer(rng.pick(cluster.names), rng.pick(cluster.names));
        await pass(rng.int(...TRANSFER_EVERY_MS));
      }
    },
    end: async () => {},
  }),

  halves: (cluster, rng) => {
    const names = rng.shuffled(cluster.names);
    const minority = names.slice(0, Math.floor(names.length / 2));
    const majority = names.slice(minority.length);
    const what = `partition: ${minority.join(' ')} | ${majority.join(' ')}`;
    return lossy(cluster, what, 100, between(minority, majority));
  },

  bridge: (cluster, rng) => {
    const [middle, ...rest] = rng.shuffled(cluster.names);
    const left = rest.slice(0, Math.floor(rest.length / 2));
    const right = rest.slice(left.length);
    const what = `partition: ${left.join(' ')} | ${right.join(' ')}, ${middle} sees both`;
    return lossy(cluster, what, 100, between(left, right));
  },

  one_way: (cluster, rng) => {
    const [from, ...others] = rng.shuffled(cluster.names);
    const deaf = others.slice(0, rng.int(1, others.length));
    const pairs = deaf.map((to) => (rng.chance(50) ? [from, to] : [to, from]));
    const what = `one way lost: ${pairs.map((pair) => pair.join('→')).join(' ')}`;
    return lossy(cluster, what, 100, pairs);
  },

  flapping: (cluster, rng) => {
    const name = rng.pick(cluster.names);
    const pairs = between([name], cluster.names.filter((other) => other !== name));
    return {
      what: `${name} is cut off again and again`,
      touches: [NETWORK],
      begin: () => cluster.drop(100, pairs),
      during: async (pass, over) => {
        while (!over()) {
          await pass(rng.int(...FLAP_MS));
          await cluster.pass();
          await pass(rng.int(...FLAP_MS));
          await cluster.drop(100, pairs);
        }
      },
      end: () => cluster.pass(),
    };
  },

  loss: (cluster, rng) => {
    const percent = rng.pick(SHARES);
    return lossy(cluster, `${percent} % of packets lost`, percent, everyPair(cluster.names));
  },

  slow: (cluster, rng) => {
    const name = rng.pick(cluster.names);
    const kbit = rng.int(...SLOW_KBIT);
    return {
      what: `${kbit} kbit/s to ${name}`,
      touches: [NETWORK],
      begin: () => cluster.slow(name, kbit),
      end: () => cluster.slow(name, 0),
    };
  },

  clock: (cluster, rng) => {
    const name = rng.pick(cluster.names);
    const steps = Array.from({ length: rng.int(1, STEPS_MAX) }, () =>
      Math.round(rng.real(...STEP_MS) * (rng.chance(50) ? 1 : -1)),
    );
    return {
      what: `wall clock of ${name} steps to ${steps.map((ms) => `${ms} ms`).join(', ')} and back`,
      touches: [`clock of ${name}`],
      begin: () => cluster.stepClock(name, steps[0]),
      during: async (pass, over) => {
        for (const step of steps.slice(1)) {
          await pass(rng.int(300, 1500));
          if (over()) return;
          cluster.stepClock(name, step);
        }
      },
      end: () => cluster.stepClock(name, 0),
    };
  },

  disk_full: (cluster, rng) => {
    const name = rng.pick(cluster.names);
    return {
      what: `the disk of ${name} is full`,
      touches: [process(name)],
      begin: () => cluster.fillDisk(name),
      end: async () => {
        if (await cluster.emptyDisk(name)) cluster.launch(name);
      },
    };
  },
};

/** A fault of that kind. */
async function makeFault(kind, cluster, rng) {
  return { ...(await KINDS[kind](cluster, rng)), kind };
}

module.exports = { KINDS: Object.keys(KINDS), makeFault };
