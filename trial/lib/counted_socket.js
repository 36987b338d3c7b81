// CountedSocket: a unix socket, or {port, host}, in front of HAProxy's that passes every command on and
// remembers it, so that what reaches HAProxy is counted by somebody else than Fettle.
'use strict';

const net = require('net');

class CountedSocket {
  constructor(path, target) {
    this.path = path;
    this.target = target;
    this.commands = [];
    this.server = net.createServer((client) => this.#pass(client));
  }

  listen() {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.path, resolve);
    });
  }

  close() {
    return new Promise((resolve) => this.server.close(resolve));
  }

  /** How often a command that matches was passed on. */
  count(pattern) {
    return this.commands.filter((command) => pattern.test(command)).length;
  }

  #pass(client) {
    const haproxy = net.connect(this.target);
    client.setEncoding('utf8');
    client.on('data', (text) => this.commands.push(...text.split('\n').filter(Boolean)));
    client.pipe(haproxy);
    haproxy.pipe(client);
    for (const end of [client, haproxy]) {
      end.on('error', () => {
        client.destroy();
        haproxy.destroy();
      });
    }
  }
}

module.exports = { CountedSocket };
