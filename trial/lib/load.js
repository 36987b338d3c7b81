// Load: a client that sends a steady, cheap stream of requests through HAProxy, and now and then a
// real completion whose answer is known. Each request has a deadline, a bounded number is in
// flight, and each is kept with its start, its end, who served it and whether it failed.
'use strict';

const { request } = require('./http.js');

const EVERY_MS = 20;
const COMPLETION_EVERY = 50;
const IN_FLIGHT_MAX = 64;
const TIMEOUT_MS = 2000;
const PROMPT = '#include <stdio.h>\nint main(void) {\n  printf("fine\\n");\n  return 0;\n}\n';
const ANSWER = /^c\b/;

class Load {
  static settings = { requests_per_s: 1000 / EVERY_MS, request_timeout_ms: TIMEOUT_MS };

  constructor(bus, port) {
    this.bus = bus;
    this.port = port;
    this.requests = [];
    this.inFlight = 0;
    this.sent = 0;
    this.skipped = 0;
  }

  start() {
    this.timer = setInterval(() => this.#send(), EVERY_MS);
  }

  stop() {
    clearInterval(this.timer);
  }

  /** All requests that were started in [from, to) and are over. */
  started(from, to = Infinity) {
    return this.requests.filter((one) => one.at >= from && one.at < to);
  }

  failed(from, to = Infinity) {
    return this.started(from, to).filter((one) => !one.ok);
  }

  #send() {
    if (this.inFlight >= IN_FLIGHT_MAX) {
      this.skipped += 1;
      return;
    }
    this.sent += 1;
    const completion = this.sent % COMPLETION_EVERY === 0;
    const one = { at: performance.now(), ok: false, server: '', said: '' };
    this.inFlight += 1;
    (completion
      ? this.#complete()
      : request({ port: this.port, path: '/v1/models', timeoutMs: TIMEOUT_MS })
    )
      .then((answer) => {
        one.server = answer.headers['x-server'] || '';
        one.ok = answer.status === 200 && (!completion || isKnownAnswer(answer.body));
        one.said = one.ok ? '' : `${answer.status} ${answer.body.slice(0, 200)}`;
      })
      .catch((error) => {
        one.said = error.message;
      })
      .finally(() => {
        one.end = performance.now();
        this.inFlight -= 1;
        this.requests.push(one);
        this.bus.changed();
      });
  }

  #complete() {
    return request({
      port: this.port,
      method: 'POST',
      path: '/v1/completions',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'guesslang', prompt: PROMPT, max_tokens: 3 }),
      timeoutMs: TIMEOUT_MS,
    });
  }
}

function isKnownAnswer(body) {
  try {
    return ANSWER.test(JSON.parse(body).choices[0].text);
  } catch {
    return false;
  }
}

module.exports = { Load };
