// The story: first a control that shows what happens when nobody acts, then a model server dies and
// Fettle heals. Each part waits for facts within a bound and adds what did not hold to `why`.
'use strict';

const { Load } = require('./load.js');
const { HaproxyWatch } = require('./haproxy_watch.js');
const { LIVE } = require('./members.js');

const VICTIM = 'a';
const CONTROL_MS = 4000;
const CONTROL_END_MS = 1000;
const AFTER_ISOLATION_MS = 2000;
const DETECTED_MS = 15000;
const ISOLATED_MS = 15000;
const ALERT_MS = 20000;
const RESTORED_MS = 60000;
const CALM_MS = 5000;
const SERVED_AFTER_ISOLATION_MIN = 20;

const settings = {
  victim: VICTIM,
  engine: 'generic',
  probes: {
    live: { kind: 'http', path: '/health', ...LIVE, rise: 2 },
    port: { kind: 'tcp', interval_ms: 500, timeout_ms: 2000, fall: 2, rise: 2 },
  },
  confirm_gap_ms: 25,
  observers: 3,
  haproxy: { check: false, redispatch: false, retries: 0, poll_ms: HaproxyWatch.FAST_MS },
  control_ms: CONTROL_MS,
  ...Load.settings,
};

const round = (milliseconds) => Math.round(milliseconds * 10) / 10;

/** No request of before is in flight, and none has failed lately. */
function untilCalm(trial) {
  const { bus, load } = trial;
  return bus.until('requests pass on both servers', CALM_MS + RESTORED_MS, () => {
    const recent = load.started(performance.now() - CONTROL_END_MS);
    return recent.length > 10 && recent.every((one) => one.ok);
  });
}

/**
 * With Fettle frozen the dead server's requests must go on failing: what heals afterwards is
 * Fettle, not HAProxy, the client or chance.
 */
async function control(trial, result, why) {
  const { bus, load, watch, events, receiver, timeline } = trial;
  timeline.say('trial', 'control: Fettle is frozen, so a dead server must hurt', 'bold');
  await trial.fettle('freeze', '--for', '10m', '--reason', 'control of the trial');
  const killed = trial.killServer(VICTIM);
  await bus.pass(CONTROL_MS);
  const end = performance.now();
  const sent = load.started(killed, end).length;
  const failed = load.failed(killed, end).length;
  const failedAtEnd = load.failed(end - CONTROL_END_MS, end).length;
  const isolated =
    watch.changes.some((change) => change.at >= killed) ||
    events.first('node.admin_changed', { node: VICTIM }, killed) !== undefined;
  const down = events.first('verdict.changed', { node: VICTIM, value: 'down' }, killed);
  result.control = {
    sent,
    failed,
    failed_at_end: failedAtEnd,
    isolated,
  };
  timeline.say(
    'client',
    `${failed} of ${sent} requests failed, ${failedAtEnd} of them in the last second`,
  );
  if (failed === 0)
    why.push('control: no request failed although a server was dead and nobody acted');
  if (failedAtEnd === 0) why.push('control: requests stopped failing although nobody acted');
  if (isolated) why.push('control: the node was isolated under a freeze');
  if (!down) why.push('control: the quorum did not see the dead server');
  await trial.startServer(VICTIM);
  timeline.calm();
  await trial.untilVerdict(VICTIM, 'healthy', RESTORED_MS);
  if (down) {
    const incident = events.first('incident.opened', { node: VICTIM }, killed)?.incident;
    await bus.until(
      "the control's resolved alert",
      ALERT_MS,
      () => receiver.of(incident, 'resolved').length > 0,
    );
  }
  await trial.fettle('unfreeze');
  await untilCalm(trial);
}

async function detectAndIsolate(trial, result, why) {
  const { bus, events, watch, receiver } = trial;
  watch.pace(HaproxyWatch.FAST_MS);
  const killed = trial.killServer(VICTIM);
  const down = await bus.until(`the quorum says that ${VICTIM} is down`, DETECTED_MS, () =>
    events.first('verdict.changed', { node: VICTIM, value: 'down' }, killed),
  );
  result.detected_ms = round(down.arrived - killed);
  const maint = await bus.until(`HAProxy says that ${VICTIM} is in maintenance`, ISOLATED_MS, () =>
    watch.changeTo(VICTIM, 'maint', killed),
  );
  result.isolated_ms = round(maint.at - killed);
  const opened = await bus.until('the incident is open', DETECTED_MS, () =>
    events.first('incident.opened', { node: VICTIM }, killed),
  );
  await bus.until(
    'the firing alert, signed',
    ALERT_MS,
    () => receiver.of(opened.incident, 'firing').length > 0,
  );
  watch.pace(HaproxyWatch.IDLE_MS);
  await bus.pass(Math.max(0, maint.at + AFTER_ISOLATION_MS - performance.now()));
  const served = trial.load.started(maint.at).filter((one) => one.ok).length;
  if (served < SERVED_AFTER_ISOLATION_MIN)
    why.push(`only ${served} requests passed in the 2 s after isolation`);
  return { killed, isolatedAt: maint.at, incident: opened.incident };
}

async function restore(trial, { isolatedAt, incident }, result) {
  const { bus, events, watch, receiver, load, timeline } = trial;
  await trial.startServer(VICTIM);
  const ready = await bus.until(`HAProxy says that ${VICTIM} is ready again`, RESTORED_MS, () =>
    watch.changeTo(VICTIM, 'ready', isolatedAt),
  );
  await bus.until(`requests pass on ${VICTIM} again`, RESTORED_MS, () =>
    load.started(ready.at).some((one) => one.ok && one.server === VICTIM),
  );
  await bus.until(`${VICTIM} is in service again`, RESTORED_MS, () =>
    events.first('node.admin_changed', { node: VICTIM, value: 'in_service' }, isolatedAt),
  );
  result.restored = true;
  timeline.say('client', `requests pass on ${VICTIM} again`, 'green');
  await bus.until(
    'the resolved alert, signed',
    ALERT_MS,
    () => receiver.of(incident, 'resolved').length > 0,
  );
  await untilCalm(trial);
  timeline.calm();
}

function count(trial, { killed, isolatedAt, incident }, result, why) {
  const { load, receiver } = trial;
  const alerts = (status) => new Set(receiver.of(incident, status).map((one) => one.id)).size;
  const lost = load.failed(isolatedAt);
  result.requests = {
    sent: load.started(killed).length,
    failed: load.failed(killed).length,
    failed_after_isolation: lost.length,
  };
  result.alerts = {
    firing: alerts('firing'),
    resolved: alerts('resolved'),
    duplicates: receiver.duplicates(),
  };
  if (lost.length > 0) {
    why.push(
      `${lost.length} requests failed after isolation, ` +
        `the first: ${lost[0].server} ${lost[0].said}`,
    );
  }
  if (result.alerts.duplicates > 0)
    why.push('one incident and state came under several delivery ids');
  if (receiver.deliveries.some((one) => !one.valid)) why.push('a delivery had no valid signature');
}

/** Kill, verdict, isolation, alert, restart, restore, resolved; fills `result`, adds to `why`. */
async function heal(trial, result, why) {
  trial.timeline.say('trial', 'the story: a model server dies, and Fettle may act', 'bold');
  const seen = await detectAndIsolate(trial, result, why);
  await restore(trial, seen, result);
  count(trial, seen, result, why);
  const { requests } = result;
  trial.timeline.say(
    'trial',
    `detected ${result.detected_ms} ms and isolated ${result.isolated_ms} ms after the kill; ` +
      `${requests.failed} of ${requests.sent} requests failed, ` +
      `${requests.failed_after_isolation} of them after isolation`,
    'bold',
  );
}

function emptyResult(members) {
  return {
    ok: false,
    members,
    detected_ms: null,
    isolated_ms: null,
    control: { sent: 0, failed: 0, failed_at_end: 0, isolated: false },
    requests: { sent: 0, failed: 0, failed_after_isolation: 0 },
    alerts: { firing: 0, resolved: 0, duplicates: 0 },
    restored: false,
    hang: { detected_ms: null, isolated_ms: null },
    leader_killed: { resumed_step: null, steps_repeated: null },
    settings,
    duration_s: 0,
    why: [],
  };
}

module.exports = { control, heal, emptyResult };
