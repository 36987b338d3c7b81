// Free loopback ports outside the kernel's ephemeral range (32768–60999): a port inside it may be
// some client's source port at any moment.
'use strict';

const dgram = require('dgram');
const net = require('net');

const LOWEST = 20000;
const HIGHEST = 32000;
const TRIES_MAX = 200;

const given = new Set();

function isFree(port) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () =>
      server.close(() => resolve(true)),
    );
  });
}

/**
 * Takes the port of the same number for datagrams, which nobody else here uses, until this process
 * ends: so that another one that looks for a port meanwhile is not given this one too.
 */
function claim(port) {
  return new Promise((resolve) => {
    const socket = dgram.createSocket('udp4');
    socket.once('error', () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => {
      socket.unref();
      resolve(true);
    });
  });
}

/** A port that nothing listens on now and that was given to no living process before. */
async function freePort() {
  for (let i = 0; i < TRIES_MAX; i += 1) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (given.has(port)) continue;
    given.add(port);
    if ((await claim(port)) && (await isFree(port))) return port;
  }
  throw new Error(`no free port between ${LOWEST} and ${HIGHEST}`);
}

module.exports = { freePort };
