// A small real model server, with the endpoints that inference engines have:
//   GET  /health  /metrics                                     (/health is shallow, as vLLM's is)
//   GET  /v1/models, POST /v1/completions, /v1/chat/completions      OpenAI's, also "stream": true
//   GET  /v2  /v2/health/live  /v2/health/ready  /v2/models/guesslang[/ready]          KServe's v2
//   POST /v2/models/guesslang/infer
//   POST /fault                                      only with --faults; lib/model.js names them
// The model is a classifier, so a completion's text is the likeliest languages: "c cpp cs java go".
// It listens only once the weights are loaded.
// Usage: node model_server.js --port 8101 [--host 127.0.0.1] [--name a] [--faults]
'use strict';

const http = require('http');
const { parseArgs } = require('util');
const { setTimeout: sleep } = require('timers/promises');
const { Model, QueueFull, NAME, countTokens } = require('./lib/model.js');

const BODY_BYTES_MAX = 1 << 20;
const LABELS_DEFAULT = 5;
const FAULT_PATH = '/fault';

class BadRequest extends Error {
  constructor(message, status = 400) {
    super(message);
    this.status = status;
  }
}

const { values: options } = parseArgs({
  options: {
    port: { type: 'string' },
    host: { type: 'string', default: '127.0.0.1' },
    name: { type: 'string', default: 'model' },
    faults: { type: 'boolean', default: false },
  },
});

const model = new Model();

async function readJson(request) {
  let body = '';
  for await (const chunk of request) {
    body += chunk;
    if (body.length > BODY_BYTES_MAX) throw new BadRequest('the body is too large', 413);
  }
  let json;
  try {
    json = JSON.parse(body || '{}');
  } catch {
    throw new BadRequest('the body is no JSON');
  }
  if (json === null || typeof json !== 'object') throw new BadRequest('the body is no JSON object');
  return json;
}

function send(response, status, content, type = 'application/json') {
  const body = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
  response.writeHead(status, {
    'content-type': type,
    'content-length': body.length,
    'x-served-by': options.name,
  });
  response.end(body);
}

/** A result of inference; the fault `truncate` breaks it off in the middle. */
function sendResult(response, content) {
  if (!model.fault.truncate) return send(response, 200, content);
  const body = Buffer.from(JSON.stringify(content));
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.write(body.subarray(0, body.length >> 1), () => response.destroy());
}

const metadata = {
  name: NAME,
  versions: ['1'],
  platform: 'tensorflow_js',
  inputs: [{ name: 'text', datatype: 'BYTES', shape: [1] }],
  outputs: [
    { name: 'label', datatype: 'BYTES', shape: [-1] },
    { name: 'confidence', datatype: 'FP32', shape: [-1] },
  ],
};

async function kserveInfer(request, response) {
  const { id, inputs } = await readJson(request);
  const text = inputs?.[0]?.data?.[0];
  if (typeof text !== 'string') throw new BadRequest('inputs[0].data[0] is no text');
  const ranked = await model.infer(text);
  const shape = [ranked.length];
  sendResult(response, {
    model_name: NAME,
    model_version: '1',
    id,
    outputs: [
      { name: 'label', datatype: 'BYTES', shape, data: ranked.map((one) => one.languageId) },
      { name: 'confidence', datatype: 'FP32', shape, data: ranked.map((one) => one.confidence) },
    ],
  });
}

/** The two OpenAI envelopes differ in how a prompt comes in and how a text goes out. */
const envelopes = {
  completion: {
    object: 'text_completion',
    prompt: (body) => body.prompt,
    whole: (text) => ({ text }),
    part: (text) => ({ text }),
  },
  chat: {
    object: 'chat.completion',
    prompt: (body) => body.messages?.at?.(-1)?.content,
    whole: (text) => ({ message: { role: 'assistant', content: text } }),
    part: (text) => ({ delta: { content: text } }),
  },
};

let completions = 0;

function completion(envelope) {
  return async (request, response) => {
    const body = await readJson(request);
    const prompt = envelope.prompt(body);
    if (typeof prompt !== 'string') throw new BadRequest('the prompt is no text');
    const labels = (await model.infer(prompt))
      .slice(0, body.max_tokens || LABELS_DEFAULT)
      .map((one) => one.languageId);
    completions += 1;
    const head = {
      id: `cmpl-${options.name}-${completions}`,
      object: envelope.object,
      created: Math.floor(Date.now() / 1000),
      model: NAME,
    };
    if (body.stream) return stream(response, envelope, head, labels);
    const tokens = countTokens(prompt);
    sendResult(response, {
      ...head,
      choices: [{ index: 0, ...envelope.whole(labels.join(' ')), finish_reason: 'length' }],
      usage: {
        prompt_tokens: tokens,
        completion_tokens: labels.length,
        total_tokens: tokens + labels.length,
      },
    });
  };
}

async function stream(response, envelope, head, labels) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'x-served-by': options.name });
  for (const label of labels) {
    if (model.fault.stall_stream_ms) await sleep(model.fault.stall_stream_ms);
    const choice = { index: 0, ...envelope.part(`${label} `), finish_reason: null };
    response.write(`data: ${JSON.stringify({ ...head, choices: [choice] })}\n\n`);
  }
  response.end('data: [DONE]\n\n');
}

const sends = (content, type) => (request, response) => {
  send(response, 200, typeof content === 'function' ? content() : content, type);
};

const routes = new Map([
  ['GET /health', sends({ status: 'ok' })],
  ['GET /metrics', sends(() => model.metrics(), 'text/plain; version=0.0.4')],
  ['GET /v1/models', sends({ object: 'list', data: [{ id: NAME, object: 'model' }] })],
  ['POST /v1/completions', completion(envelopes.completion)],
  ['POST /v1/chat/completions', completion(envelopes.chat)],
  ['GET /v2', sends({ name: options.name, version: '1', extensions: [] })],
  ['GET /v2/health/live', sends({ live: true })],
  ['GET /v2/health/ready', sends({ ready: true })],
  [`GET /v2/models/${NAME}`, sends(metadata)],
  [`GET /v2/models/${NAME}/ready`, sends({ ready: true })],
  [`POST /v2/models/${NAME}/infer`, kserveInfer],
]);
if (options.faults) {
  routes.set(`POST ${FAULT_PATH}`, async (request, response) => {
    model.setFault(await readJson(request));
    send(response, 200, model.fault);
  });
}

async function handle(request, response) {
  const route = routes.get(`${request.method} ${request.url.split('?')[0]}`);
  try {
    if (!route) throw new BadRequest('not found', 404);
    await route(request, response);
  } catch (error) {
    if (response.headersSent) return response.destroy();
    const status = error instanceof QueueFull ? 429 : error.status || 500;
    send(response, status, { error: { message: error.message } });
  }
}

async function main() {
  const began = Date.now();
  await model.load();
  const server = http.createServer(handle);
  server.keepAliveTimeout = 65000;
  server.listen(Number(options.port), options.host, () => {
    const loaded = Date.now() - began;
    console.log(`ready on ${options.host}:${server.address().port}, model loaded in ${loaded} ms`);
  });
  process.on('SIGTERM', () => process.exit(0));
}

main();
