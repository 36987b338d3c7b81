// One bounded HTTP request on a connection of its own, so that no failure is the race of a kept
// connection, and asking again until something answers.
'use strict';

const http = require('http');
const { setTimeout: sleep } = require('timers/promises');

const BODY_BYTES_MAX = 4 << 20;
const ASK_AGAIN_MS = 50;

/**
 * {status, headers, body} of one request to {port | socketPath, path, method, headers, body,
 * timeoutMs}. Rejects when there is no whole answer in time.
 */
function request({ body, timeoutMs = 2000, ...where }) {
  return new Promise((resolve, reject) => {
    const asked = http.request({
      host: '127.0.0.1',
      agent: false,
      ...where,
      headers: { ...(body ? { 'content-length': Buffer.byteLength(body) } : {}), ...where.headers },
    });
    const timer = setTimeout(() => asked.destroy(new Error('no answer in time')), timeoutMs);
    const fail = (error) => {
      clearTimeout(timer);
      asked.destroy();
      reject(error);
    };
    asked.on('error', fail);
    asked.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
        if (text.length > BODY_BYTES_MAX) fail(new Error('the answer is too large'));
      });
      response.on('error', fail);
      response.on('aborted', () => fail(new Error('the answer was cut off')));
      response.on('end', () => {
        clearTimeout(timer);
        resolve({ status: response.statusCode, headers: response.headers, body: text });
      });
    });
    asked.end(body);
  });
}

/** Asks again until the answer is 2xx; `bus` ends it early when something failed for good. */
async function untilAnswers(bus, what, timeoutMs, where) {
  const end = performance.now() + timeoutMs;
  let seen = 'no answer';
  while (performance.now() < end) {
    if (bus.failure) throw bus.failure;
    try {
      const { status } = await request({ ...where, timeoutMs: 1000 });
      if (status >= 200 && status < 300) return;
      seen = `it answers ${status}`;
    } catch (error) {
      seen = error.message;
    }
    await sleep(ASK_AGAIN_MS);
  }
  throw new Error(`not within ${timeoutMs / 1000} s: ${what} (${seen})`);
}

module.exports = { request, untilAnswers };
