// Receiver: a webhook receiver that keeps every delivery and checks its signature (HMAC-SHA256 of
// the body, in X-Fettle-Signature). Answers 204, or 401 for a signature that does not fit.
'use strict';

const crypto = require('crypto');
const http = require('http');

const BODY_BYTES_MAX = 4 << 20;

class Receiver {
  /** Without a `secret` deliveries need no signature. */
  constructor(bus, secret = '') {
    this.bus = bus;
    this.secret = secret;
    this.deliveries = [];
    this.onDelivery = () => {};
    this.server = http.createServer((request, response) => this.#take(request, response));
  }

  listen(port) {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, '127.0.0.1', resolve);
    });
  }

  close() {
    this.server.closeAllConnections?.();
    return new Promise((resolve) => this.server.close(resolve));
  }

  /** Deliveries with a valid signature for the incident in the state `firing` or `resolved`. */
  of(incident, status) {
    return this.deliveries.filter(
      (one) => one.valid && one.status === status && one.incidents.includes(incident),
    );
  }

  /** Delivery ids beyond the first for one incident and state: repeats that look like news. */
  duplicates() {
    const ids = new Map();
    for (const one of this.deliveries) {
      for (const incident of one.incidents) {
        const key = `${incident} ${one.status}`;
        ids.set(key, (ids.get(key) || new Set()).add(one.id));
      }
    }
    return [...ids.values()].reduce((sum, set) => sum + set.size - 1, 0);
  }

  async #take(request, response) {
    const chunks = [];
    let bytes = 0;
    try {
      for await (const chunk of request) {
        bytes += chunk.length;
        if (bytes > BODY_BYTES_MAX) return request.destroy();
        chunks.push(chunk);
      }
    } catch {
      return;
    }
    const delivery = this.#read(request.headers, Buffer.concat(chunks));
    this.deliveries.push(delivery);
    response.writeHead(delivery.valid ? 204 : 401).end();
    this.onDelivery(delivery);
    this.bus.changed();
  }

  #read(headers, body) {
    let json = {};
    try {
      json = JSON.parse(body);
    } catch {
      // Kept as a delivery that says nothing: the trial then misses its alert and shows what came.
    }
    return {
      at: performance.now(),
      id: headers['x-fettle-delivery'] || '',
      valid: this.#fits(headers['x-fettle-signature'] || '', body),
      status: json.status,
      incidents: (json.incidents || []).map((incident) => incident.id),
      text: json.text || '',
    };
  }

  #fits(signature, body) {
    if (!this.secret) return true;
    const wanted = `sha256=${crypto.createHmac('sha256', this.secret).update(body).digest('hex')}`;
    return (
      signature.length === wanted.length &&
      crypto.timingSafeEqual(Buffer.from(signature), Buffer.from(wanted))
    );
  }
}

module.exports = { Receiver };
