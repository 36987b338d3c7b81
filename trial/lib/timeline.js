// Timeline: what happened, one line each, for people: seconds since the start, who, what, and how
// long after the last kill. Colour only on a terminal.
'use strict';

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };
const SOURCE_WIDTH = 9;

class Timeline {
  constructor(output) {
    this.output = output;
    this.colour = Boolean(output.isTTY) && !process.env.NO_COLOR;
    this.began = performance.now();
    this.killed = null;
  }

  say(source, text, style = '', at = performance.now()) {
    const seconds = ((at - this.began) / 1000).toFixed(3).padStart(8);
    const since = this.killed === null ? '' : `+${Math.round(at - this.killed)} ms`;
    const line = `${source.padEnd(SOURCE_WIDTH)} ${this.#paint(text, style)}`;
    this.output.write(
      `${this.#paint(seconds, 'dim')}  ${line}${since ? `  ${this.#paint(since, 'dim')}` : ''}\n`,
    );
  }

  /** From now on every line also says how long after this kill it is. */
  kill(at) {
    this.killed = at;
  }

  /** The kill is over and done with. */
  calm() {
    this.killed = null;
  }

  event(event) {
    const told = TELL[event.kind];
    const { source, text, style } = told ? told(event) : untold(event);
    if (text) this.say(source, text, style, event.arrived);
  }

  haproxy({ server, state, before, at }) {
    if (before === undefined) return;
    const style = state === 'maint' ? 'yellow' : 'green';
    this.say('haproxy', `server ${server}: ${before} → ${state}`, style, at);
  }

  delivery({ status, text, valid, at }) {
    const signature = valid ? 'signature valid' : 'SIGNATURE INVALID';
    const style = !valid || status === 'firing' ? 'red' : 'green';
    this.say('webhook', `${status}: ${text} (${signature})`, style, at);
  }

  #paint(text, style) {
    return this.colour && CODES[style] ? `\x1b[${CODES[style]}m${text}\x1b[0m` : text;
  }
}

const because = (event) => (event.reason ? `: ${event.reason}` : '');
const VERDICT_STYLES = { down: 'red', degraded: 'yellow', healthy: 'green' };

/** What is worth a line, and whose line it is. Steps and sent alerts show in other lines anyway. */
const TELL = {
  'verdict.changed': (event) => ({
    source: 'quorum',
    text: `${event.node} is ${event.value}${because(event)}`,
    style: VERDICT_STYLES[event.value],
  }),
  'incident.opened': (event) => ({
    source: 'incident',
    text: `${event.incident} opened${because(event)}`,
  }),
  'incident.resolved': (event) => ({
    source: 'incident',
    text: `${event.incident} resolved${because(event)}`,
  }),
  'run.started': (event) => ({
    source: 'run',
    text: `${event.run} ${event.value} started${because(event)}`,
  }),
  'run.finished': (event) => ({
    source: 'run',
    text: `${event.run} ${event.value}${because(event)}`,
  }),
  'node.admin_changed': (event) => ({
    source: 'fettle',
    text: `${event.node} is ${event.value}${because(event)}`,
    style: event.value === 'in_service' ? 'green' : 'yellow',
  }),
  'leader.changed': (event) => ({
    source: 'group',
    text: `leader: ${event.value}${because(event)}`,
  }),
  'spec.applied': (event) => ({
    source: 'spec',
    text: `revision ${event.value} applied`,
    style: 'dim',
  }),
  'step.started': () => ({}),
  'step.finished': () => ({}),
  'alert.sent': () => ({}),
};

function untold(event) {
  const words = [event.kind, event.node, event.value].filter(Boolean);
  return { source: 'event', text: `${words.join(' ')}${because(event)}`, style: 'dim' };
}

module.exports = { Timeline };
