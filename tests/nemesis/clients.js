// Clients: each asks one member over its local socket for a while, then another: reads, plain writes,
// deletions, and appends to a list (a read, then compare-and-swap). Some hang up before the answer can
// come; some that were not answered ask again under the same idempotency key. A client that cannot
// know what became of its operation retires, and a new one takes its place.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { request } = require('../../trial/lib/http.js');
const { History } = require('./history.js');

const ANSWER_MS = 3000;
const PAUSE_MS = [5, 45];
const REFUSED_PAUSE_MS = 100; // nobody listens, or nobody leads
const PINNED_MS = [2000, 8000];
const HANG_UP_PERCENT = 3;
const HANG_UP_MS = [1, 10];
const AGAIN_PERCENT = 50; // of what was not answered
const AGAIN_MAX = 3; // in 15 s, long before the 4,096 answers that a group keeps are over
const AGAIN_AFTER_MS = [20, 1000];
/** Shares of 100; the rest appends. */
const READ = 30;
const WRITE = 15;
const DELETE = 8;
const STALE_CAS = 7;
const NEVER_SENT = ['ECONNREFUSED', 'ENOENT', 'EAGAIN'];
/** Said before anything was proposed: docs/api.md. */
const PROPOSED_NOTHING = ['not_leader', 'busy'];

const told = (output) => ({ outcome: 'ok', output });
const failed = (code) => ({ outcome: 'failed', output: { failed: code } });
const UNKNOWN = { outcome: 'unknown', output: null };

/**
 * What an answer proves of an operation `op` (read, write, cas, delete). An answer that no correct
 * request gets is an Error.
 */
function judge(op, { status, body }) {
  const said = parsed(body);
  if (status >= 200 && status < 300) {
    const { value, revision } = said;
    if (!Number.isInteger(revision)) throw new Error(`${op}: no revision in ${body}`);
    return told(op === 'read' ? { value, revision } : { revision });
  }
  const code = said.error?.code;
  if (status === 404 && op !== 'write') return told({ absent: true });
  if (status === 412 && (op === 'cas' || op === 'delete')) return told({ mismatch: true });
  if (status === 503 && PROPOSED_NOTHING.includes(code)) return failed(code);
  if (status === 503 || status === 504) return op === 'read' ? failed(code) : UNKNOWN;
  throw new Error(`${op}: ${status} ${body}`);
}

function parsed(body) {
  try {
    return JSON.parse(body);
  } catch {
    throw new Error(`no JSON: ${body}`);
  }
}

/** The request of an operation; `reads` is the consistency that a read asks for. */
function requestOf({ key, op, input, once }, reads = 'linearizable') {
  const path = `/v1/kv/${key}`;
  if (op === 'read') return { method: 'GET', path: `${path}?consistency=${reads}` };
  const headers = { 'idempotency-key': once };
  if (input.revision !== undefined) headers['if-match'] = String(input.revision);
  if (op === 'delete') return { method: 'DELETE', path, headers };
  return { method: 'PUT', path, headers, body: JSON.stringify({ value: input.value }) };
}

class Client {
  /** `number` tells clients apart; `stopped()` ends `run`. */
  constructor({ number, cluster, history, keys, reads, rng, stopped }) {
    Object.assign(this, { number, cluster, history, keys, reads, rng, stopped });
    this.life = 0;
    this.values = 0;
    this.asked = 0;
    this.seen = { key: '', revision: 0 };
    this.#become();
  }

  #become() {
    this.life += 1;
    this.name = `c${this.number}.${this.life}`;
  }

  async run() {
    let pinnedUntil = 0;
    while (!this.stopped()) {
      if (performance.now() > pinnedUntil) {
        this.member = this.rng.pick(this.cluster.names);
        pinnedUntil = performance.now() + this.rng.int(...PINNED_MS);
      }
      const { outcome } = await this.#act();
      if (outcome === 'unknown') this.#become();
      if (outcome !== 'ok') pinnedUntil = 0;
      await sleep(outcome === 'failed' ? REFUSED_PAUSE_MS : this.rng.int(...PAUSE_MS));
    }
  }

  #act() {
    const die = this.rng.int(0, 99);
    if (die < READ) return this.ask(this.keys.next(), 'read', null);
    if (die < READ + WRITE) {
      return this.ask(this.keys.next(), 'write', { value: [this.#fresh()] });
    }
    if (die < READ + WRITE + DELETE) return this.#remove();
    if (die < READ + WRITE + DELETE + STALE_CAS) return this.#swapLastSeen();
    return this.#append();
  }

  /** A text that nobody else writes. */
  #fresh() {
    this.values += 1;
    return `${this.name}/${this.values}`;
  }

  #lastSeen(key) {
    return this.seen.key === key ? this.seen.revision : 0;
  }

  #remove() {
    const key = this.keys.next();
    const revision = this.#lastSeen(key);
    const conditional = revision > 0 && this.rng.chance(50);
    return this.ask(key, 'delete', conditional ? { revision } : {});
  }

  #swapLastSeen() {
    const key = this.keys.next();
    return this.ask(key, 'cas', { value: [this.#fresh()], revision: this.#lastSeen(key) });
  }

  async #append() {
    const key = this.keys.next(2);
    const read = await this.ask(key, 'read', null);
    if (read.outcome !== 'ok') return read;
    const { value = [], revision = 0 } = read.output;
    return this.ask(key, 'cas', { value: [...value, this.#fresh()], revision });
  }

  /** Asks the member and records what it said. */
  async ask(key, op, input) {
    this.asked += 1;
    const once = `${this.name}/${this.asked}`;
    const asked = { client: this.name, key, op, input, once, begin: History.now() };
    const answer = op === 'read' ? await this.#answer(asked) : await this.#answerOfWrite(asked);
    this.history.add(asked, answer);
    if (answer.output?.revision) this.seen = { key, revision: answer.output.revision };
    return answer;
  }

  /** Asked again it is still one operation: the group does it once and answers alike. */
  async #answerOfWrite(asked) {
    const hangsUp = this.rng.chance(HANG_UP_PERCENT);
    const first = await this.#answer(asked, hangsUp ? this.rng.int(...HANG_UP_MS) : ANSWER_MS);
    if (first.outcome !== 'unknown' || !this.rng.chance(AGAIN_PERCENT)) return first;
    for (let i = 0; i < AGAIN_MAX; i += 1) {
      await sleep(this.rng.int(...AGAIN_AFTER_MS));
      this.member = this.rng.pick(this.cluster.names);
      const again = await this.#answer(asked);
      // A definite failure of this request says nothing of the first one.
      if (again.outcome === 'ok') return { ...again, again: true };
    }
    return first;
  }

  async #answer(asked, timeoutMs = ANSWER_MS) {
    const where = { socketPath: this.cluster.socket(this.member), timeoutMs };
    let answer;
    try {
      answer = await request({ ...where, ...requestOf(asked, this.reads) });
    } catch (error) {
      if (NEVER_SENT.includes(error.code)) return failed('never_sent');
      return asked.op === 'read' ? failed('no_answer') : UNKNOWN;
    }
    return judge(asked.op, answer);
  }
}

module.exports = { Client, judge, requestOf };
