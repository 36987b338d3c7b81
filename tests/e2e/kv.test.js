// The key-value store of a real group: written through any member, read as of now, watched, and as
// it was after the leader's death.
'use strict';

const assert = require('node:assert');
const http = require('node:http');
const { test } = require('node:test');
const { Scene } = require('./support/scene.js');
const { Group, NAMES } = require('./support/group.js');

const ANSWER_MS = 8000;
const NO_LEADER_MS = 10000;

const parsed = (said) => ({ status: said.status, ...JSON.parse(said.body) });

/** What a watch on the member's socket tells, one object a change. */
class Watch {
  constructor(socketPath, path) {
    this.told = [];
    this.waiting = [];
    this.request = http.get({ socketPath, path }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (part) => {
        text += part;
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          const line = text.slice(0, end).split('\n').find((one) => one.startsWith('data: '));
          text = text.slice(end + 2);
          if (line) this.take(JSON.parse(line.slice('data: '.length)));
        }
      });
      answer.on('error', () => {});
    });
    this.request.on('error', () => {});
  }

  take(change) {
    this.told.push(change);
    this.waiting = this.waiting.filter(({ revision, resolve }) => {
      if (change.revision < revision) return true;
      resolve();
      return false;
    });
  }

  /** Everything told, once the revision has come. */
  async until(revision) {
    if (!this.told.some((change) => change.revision >= revision)) {
      await new Promise((resolve) => this.waiting.push({ revision, resolve }));
    }
    return this.told;
  }
}

test('the store is written through any member, read as of now, watched, and survives its leader',
  { timeout: 200000 },
  () =>
    Scene.play(async (scene) => {
      const group = await Group.start(scene);
      const kv = async (name, method, key, value, headers = {}) =>
        parsed(
          await group.local(name, method, `/v1/kv/${key}`, {
            body: value === undefined ? undefined : JSON.stringify({ value }),
            headers: { 'content-type': 'application/json', ...headers },
            timeoutMs: ANSWER_MS,
          }),
        );
      const leader = await group.leaderBy('m1');
      await group.untilRaised(leader, ANSWER_MS);
      const [follower, other] = NAMES.filter((name) => name !== leader);

      const first = await kv(follower, 'PUT', 'app/config', { b: [1, 2], a: null });
      assert.deepStrictEqual(first, { status: 200, revision: 1 });
      for (const name of NAMES) {
        assert.deepStrictEqual(await kv(name, 'GET', 'app/config'), {
          status: 200,
          value: { a: null, b: [1, 2] },
          revision: 1,
        });
      }

      const watch = new Watch(group.member(other).socket, '/v1/kv?watch=app/&since=0');
      scene.atEnd(() => watch.request.destroy());
      const swaps = await Promise.all(
        NAMES.map((name) => kv(name, 'PUT', 'app/config', name, { 'if-match': '1' })),
      );
      const [won] = swaps.filter(({ status }) => status === 200);
      assert.deepStrictEqual(swaps.map(({ status }) => status).sort(), [200, 412, 412]);
      assert.strictEqual(won.revision, 2, 'what is refused takes no revision');
      assert.strictEqual((await kv(follower, 'DELETE', 'app/config', undefined, {
        'if-match': '1',
      })).status, 412);
      assert.strictEqual((await kv(follower, 'PUT', 'else', 1, { 'if-match': '0' })).revision, 3);
      assert.strictEqual((await kv(follower, 'DELETE', 'app/config')).revision, 4);
      assert.strictEqual((await kv(leader, 'GET', 'app/config')).status, 404);
      const winner = NAMES[swaps.indexOf(won)];
      assert.deepStrictEqual(await watch.until(4), [
        { kind: 'put', key: 'app/config', value: { a: null, b: [1, 2] }, revision: 1 },
        { kind: 'put', key: 'app/config', value: winner, revision: 2 },
        { kind: 'delete', key: 'app/config', revision: 4 },
      ]);

      const once = { 'idempotency-key': 'put-1' };
      const told = await kv(follower, 'PUT', 'n', 1, once);
      await group.kill(leader);
      await group.untilGet(
        follower,
        '/v1/status',
        NO_LEADER_MS,
        (said) => said.cluster && said.cluster.leader !== null && said.cluster.leader !== leader,
      );
      assert.strictEqual((await kv(other, 'GET', 'else')).value, 1);
      assert.strictEqual((await kv(other, 'PUT', 'n', 2)).revision, told.revision + 1);
      assert.deepStrictEqual(await kv(other, 'PUT', 'n', 1, once), told);
      assert.strictEqual((await kv(follower, 'GET', 'n')).value, 2, 'the same key changes nothing');
      assert.strictEqual((await group.tcp(follower, 'PUT', '/v1/kv/n', {
        body: '{"value":3}',
      })).status, 403);

      const said = await group.fettle(follower, 'kv', 'put', 'n', '{"x":1}', '--if-revision', '6');
      assert.strictEqual(said.stdout ?? said, 'revision 7\n');
      const got = await group.fettle(other, 'kv', 'get', 'n');
      assert.strictEqual(got.stdout ?? got, '{"x":1}\n');
      await assert.rejects(group.fettle(other, 'kv', 'delete', 'n', '--if-revision', '6'),
        /exit 4\n/);
      await assert.rejects(group.fettle(other, 'kv', 'put', 'n', 'text'), /exit 2\n/);
    }),
);

test('thousands of writes from many clients: every revision once, and no voter differs',
  { timeout: 200000 },
  () =>
    Scene.play(async (scene) => {
      const group = await Group.start(scene);
      await group.untilRaised('m1', ANSWER_MS);
      const CLIENTS = 16;
      const WRITES = 150;
      const revisions = new Set();
      await Promise.all(
        Array.from({ length: CLIENTS }, async (_, client) => {
          const name = NAMES[client % NAMES.length];
          for (let n = 0; n < WRITES; n += 1) {
            const said = parsed(
              await group.local(name, 'PUT', `/v1/kv/load/${client}`, {
                body: JSON.stringify({ value: n }),
                headers: { 'content-type': 'application/json' },
                timeoutMs: ANSWER_MS,
              }),
            );
            assert.strictEqual(said.status, 200, JSON.stringify(said));
            revisions.add(said.revision);
          }
        }),
      );
      assert.strictEqual(revisions.size, CLIENTS * WRITES);
      assert.strictEqual(Math.max(...revisions), CLIENTS * WRITES);
      // A voter whose state were another than the leader's at a thousandth entry would have ended.
      const { cluster } = await group.get('m1', '/v1/status');
      assert.ok(cluster.commit_index > 2000);
      for (const name of NAMES) {
        assert.strictEqual((await group.get(name, '/v1/kv/load/0')).value, WRITES - 1);
      }
    }),
);
