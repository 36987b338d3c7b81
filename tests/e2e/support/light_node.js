// A node as a process of its own: answers 200 to everything. `node light_node.js HOST PORT`.
'use strict';

const http = require('node:http');

const [host, port] = process.argv.slice(2);
http.createServer((_, response) => response.end('fine\n')).listen(Number(port), host);
