// EventStream: one member's server-sent events (GET /v1/events), from the first that it kept, taken
// up again where it was cut. Events: the streams of all members as one; each event counts once, at
// its first arrival, whichever member told it.
'use strict';

const http = require('http');

const AGAIN_MS = 200;
const LINE_BYTES_MAX = 1 << 20;

class Events {
  constructor(bus) {
    this.bus = bus;
    this.all = [];
    this.ids = new Set();
    this.streams = [];
    this.onEvent = () => {};
  }

  follow(member, port) {
    const stream = new EventStream(port, (event) => this.#take(member, event));
    this.streams.push(stream);
    stream.open();
  }

  close() {
    for (const stream of this.streams) stream.close();
  }

  /** The first event of that kind (and with those fields) that arrived at or after `since`. */
  first(kind, fields = {}, since = 0) {
    return this.all.find((event) => event.arrived >= since && matches(event, kind, fields));
  }

  /** The newest such event. */
  last(kind, fields = {}) {
    return this.all.filter((event) => matches(event, kind, fields)).at(-1);
  }

  #take(member, event) {
    if (event.id === undefined || this.ids.has(event.id)) return;
    this.ids.add(event.id);
    const kept = { ...event, member, arrived: performance.now() };
    this.all.push(kept);
    this.onEvent(kept);
    this.bus.changed();
  }
}

function matches(event, kind, fields) {
  return (
    event.kind === kind && Object.entries(fields).every(([key, value]) => event[key] === value)
  );
}

class EventStream {
  constructor(port, onEvent) {
    this.port = port;
    this.onEvent = onEvent;
    this.lastId = '0';
    this.closed = false;
  }

  open() {
    const again = () => {
      if (this.closed || this.timer) return;
      this.timer = setTimeout(() => {
        this.timer = null;
        this.open();
      }, AGAIN_MS);
    };
    this.request = http.get({
      host: '127.0.0.1',
      port: this.port,
      path: '/v1/events',
      agent: false,
      headers: { accept: 'text/event-stream', 'last-event-id': this.lastId },
    });
    this.request.on('error', again);
    this.request.on('response', (response) => {
      this.pending = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => this.#take(chunk));
      response.on('error', again);
      response.on('close', again);
    });
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.request?.destroy();
  }

  #take(chunk) {
    this.pending += chunk;
    const blocks = this.pending.split('\n\n');
    this.pending = blocks.pop();
    if (this.pending.length > LINE_BYTES_MAX) return this.request.destroy();
    for (const block of blocks) this.#event(block);
  }

  #event(block) {
    const data = [];
    for (const line of block.split('\n')) {
      if (line.startsWith('id: ')) this.lastId = line.slice(4);
      if (line.startsWith('data: ')) data.push(line.slice(6));
    }
    if (data.length > 0) this.onEvent(JSON.parse(data.join('\n')));
  }
}

module.exports = { Events };
