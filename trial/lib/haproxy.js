// HAProxy's configuration for the trial. It has no health check, no redispatch and no retry, so
// that whatever heals is Fettle; each request has a connection of its own to the server that
// HAProxy chose, and every answer, also HAProxy's own 503, says in X-Server which one that was.
'use strict';

const fs = require('fs');
const path = require('path');
const { runToEnd } = require('./processes.js');

const BACKEND = 'be_chat';

/** The paths and text of a configuration in `folder`; `servers` is [{name, port}]. */
function haproxyConfig(folder, port, servers) {
  const socket = path.join(folder, 'haproxy.sock');
  const watchSocket = path.join(folder, 'haproxy-watch.sock');
  const text = `global
  stats socket ${socket} mode 600 level admin
  stats socket ${watchSocket} mode 600 level operator
  stats timeout 1h
  nbthread 1
  maxconn 512

defaults
  mode http
  option httpclose
  no option redispatch
  retries 0
  timeout connect 1s
  timeout client 10s
  timeout server 10s

frontend fe_chat
  bind 127.0.0.1:${port}
  http-after-response set-header X-Server %[srv_name]
  default_backend ${BACKEND}

backend ${BACKEND}
  balance roundrobin
${servers.map((server) => `  server ${server.name} 127.0.0.1:${server.port}\n`).join('')}`;
  return {
    port,
    socket,
    watchSocket,
    backend: BACKEND,
    file: path.join(folder, 'haproxy.cfg'),
    text,
  };
}

/** Writes the configuration, has HAProxy check it, and starts HAProxy. */
async function startHaproxy(processes, config) {
  fs.writeFileSync(config.file, config.text);
  await runToEnd('haproxy', ['-c', '-f', config.file]);
  return processes.start('haproxy', 'haproxy', ['-db', '-f', config.file]);
}

module.exports = { haproxyConfig, startHaproxy };
