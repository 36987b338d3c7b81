// Model: guesslang (text → programming language, 54 classes) by its TensorFlow.js weights, which
// the npm package holds. One inference at a time, as on one GPU, so the queue and its metrics are
// real. Owns the counters and the faults that can be switched on; knows no HTTP.
'use strict';

const fs = require('fs');
const { setTimeout: sleep } = require('timers/promises');
const { ModelOperations } = require('@vscode/vscode-languagedetection');

const NAME = 'guesslang';
const WAITING_MAX = 64;
const LEAKED_MAX = 10000;
const WARM_UP_TEXT = 'int main(void) { return 0; }';
const BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, Infinity];

class QueueFull extends Error {}

class Model {
  constructor() {
    this.operations = new ModelOperations({ minContentSize: 1 });
    this.last = Promise.resolve();
    this.running = 0;
    this.waiting = 0;
    this.succeeded = 0;
    this.failed = 0;
    this.promptTokens = 0;
    this.seconds = { sum: 0, buckets: BUCKETS_S.map(() => 0) };
    this.fault = {};
    this.leaked = [];
  }

  /** Loads the weights; the first inference is what loads them. */
  async load() {
    await this.operations.runModel(WARM_UP_TEXT);
  }

  /**
   * The languages of `text`, the likeliest first: [{languageId, confidence}].
   * Throws QueueFull when too many wait already.
   */
  infer(text) {
    if (this.waiting >= WAITING_MAX) throw new QueueFull(`${WAITING_MAX} requests wait already`);
    this.waiting += 1;
    const answer = this.last.then(() => this.#inferNow(text));
    this.last = answer.catch(() => {});
    return answer;
  }

  /**
   * Faults that leave /health green: slow_ms, error_rate (0 to 1), wrong, nan, hang (for ever,
   * until a restart), truncate, stall_stream_ms (a chunk), fd_leak (a request). {} clears them.
   */
  setFault(fault) {
    this.fault = fault;
    for (const descriptor of this.leaked.splice(0)) fs.closeSync(descriptor);
  }

  async #inferNow(text) {
    this.waiting -= 1;
    this.running += 1;
    const began = process.hrtime.bigint();
    try {
      await this.#suffer();
      const ranked = this.#distort(await this.operations.runModel(text));
      this.succeeded += 1;
      this.promptTokens += countTokens(text);
      return ranked;
    } catch (error) {
      this.failed += 1;
      throw error;
    } finally {
      this.running -= 1;
      this.#count(Number(process.hrtime.bigint() - began) / 1e9);
    }
  }

  async #suffer() {
    const { hang, slow_ms: slowMs, fd_leak: fdLeak, error_rate: errorRate } = this.fault;
    if (hang) await new Promise(() => {});
    if (slowMs) await sleep(slowMs);
    for (let i = 0; i < (fdLeak || 0) && this.leaked.length < LEAKED_MAX; i += 1) {
      this.leaked.push(fs.openSync('/dev/null', 'r'));
    }
    if (errorRate && Math.random() < errorRate) {
      throw new Error('CUDA error: an illegal memory access was encountered (injected)');
    }
  }

  #distort(ranked) {
    const order = this.fault.wrong ? [...ranked].reverse() : ranked;
    return this.fault.nan ? order.map((one) => ({ ...one, confidence: NaN })) : order;
  }

  #count(seconds) {
    this.seconds.sum += seconds;
    BUCKETS_S.forEach((bound, i) => {
      if (seconds <= bound) this.seconds.buckets[i] += 1;
    });
  }

  /** Prometheus text, with vLLM's names where vLLM has one. */
  metrics() {
    const label = `model_name="${NAME}"`;
    const one = (name, type, value) => [`# TYPE ${name} ${type}`, `${name}{${label}} ${value}`];
    const latency = 'vllm:e2e_request_latency_seconds';
    return [
      ...one('vllm:num_requests_running', 'gauge', this.running),
      ...one('vllm:num_requests_waiting', 'gauge', this.waiting),
      ...one('vllm:request_success_total', 'counter', this.succeeded),
      ...one('vllm:prompt_tokens_total', 'counter', this.promptTokens),
      ...one('inference_errors_total', 'counter', this.failed),
      `# TYPE ${latency} histogram`,
      ...BUCKETS_S.map((bound, i) => {
        const le = bound === Infinity ? '+Inf' : bound;
        return `${latency}_bucket{${label},le="${le}"} ${this.seconds.buckets[i]}`;
      }),
      `${latency}_sum{${label}} ${this.seconds.sum}`,
      `${latency}_count{${label}} ${this.seconds.buckets.at(-1)}`,
      '# TYPE process_resident_memory_bytes gauge',
      `process_resident_memory_bytes ${process.memoryUsage().rss}`,
      '',
    ].join('\n');
  }
}

function countTokens(text) {
  return text.split(/\s+/).filter((word) => word !== '').length;
}

module.exports = { Model, QueueFull, NAME, countTokens };
