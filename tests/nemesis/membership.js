// Membership: removes members from the group, adds them back and hands the leadership over, as an
// operator does who asks again, at any member, until it is done. Asked of the members' local sockets.
'use strict';

const { request } = require('../../trial/lib/http.js');

const DONE_MS = 30000; // after what else is done to the group is over
const ANSWER_MS = 6000; // a member says "in doubt" after 5 s
const ASK_AGAIN_MS = 200;
/** Busy with another change, no leader, no majority to be had, not known: ask again. */
const NOT_NOW = [409, 503, 504];

class Membership {
  constructor(cluster) {
    this.cluster = cluster;
    this.bus = cluster.scene.bus;
    this.handedOver = 0;
  }

  /**
   * Until the group has committed that `name` is no member. Without it ("404") is an answer that a
   * leader gives only of a configuration that is committed.
   */
  remove(name) {
    const asked = { method: 'DELETE', path: `/v1/members/${name}` };
    return this.#until(`${name} is removed`, name, async (socket) =>
      this.#says(await this.#ask(socket, asked), [200, 404]),
    );
  }

  /**
   * Until `name` is a voter. Whoever sees that it votes knows that its addition is committed: the
   * group makes no change before the one before is.
   */
  add(name, address) {
    const body = JSON.stringify({ name, address });
    return this.#until(`${name} is a voter`, name, async (socket) => {
      const added = await this.#ask(socket, { method: 'POST', path: '/v1/members', body });
      return this.#says(added, [200]) && (await this.#votes(socket, name));
    });
  }

  /** Asks for it once; it may come to nothing, as when `to` is behind or out of reach. */
  async transfer(to, by) {
    const body = JSON.stringify({ to });
    const socket = this.cluster.socket(by);
    const asked = await this.#ask(socket, { method: 'POST', path: '/v1/transfer', body });
    if (this.#says(asked, [200])) this.handedOver += 1;
  }

  /** Asks the members but `name` in turn. */
  async #until(what, name, done) {
    const others = this.cluster.names.filter((one) => one !== name);
    const end = performance.now() + DONE_MS;
    for (let turn = 0; ; turn += 1) {
      if (await done(this.cluster.socket(others[turn % others.length]))) return;
      if (performance.now() > end) throw new Error(`not within ${DONE_MS} ms: ${what} (${this.said})`);
      await this.bus.pass(ASK_AGAIN_MS);
    }
  }

  /** The answer, or null: nobody listens, or it does not come. */
  async #ask(socketPath, asked) {
    try {
      return await request({ socketPath, timeoutMs: ANSWER_MS, ...asked });
    } catch (error) {
      this.said = error.message;
      return null;
    }
  }

  /** True if it says so; an answer that this can't get is an error. */
  #says(answer, wanted) {
    if (answer === null) return false;
    this.said = `${answer.status} ${answer.body}`;
    if (wanted.includes(answer.status)) return true;
    if (!NOT_NOW.includes(answer.status)) throw new Error(`a change of the members: ${this.said}`);
    return false;
  }

  async #votes(socket, name) {
    const answer = await this.#ask(socket, { path: '/v1/members' });
    if (!this.#says(answer, [200])) return false;
    const known = JSON.parse(answer.body).members.find((one) => one.name === name);
    return known?.role === 'voter';
  }
}

module.exports = { Membership };
