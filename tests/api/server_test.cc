// Stories of the API over real sockets: what each route answers, what it refuses, what it bounds.
#include "api/server.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "tests/api/example_state.h"
#include "tests/api/fake_backend.h"
#include "tests/api/raw_client.h"

namespace fettle::api {
namespace {

using nlohmann::json;

class Api : public testing::Test {
 protected:
  void SetUp() override {
    server.on_loop([](FakeBackend& backend, Server&) { backend.snapshot = example_snapshot(); });
  }
  RawClient local() const { return RawClient::local(server.socket); }
  RawClient tcp() const { return RawClient::tcp(server.port); }
  /// The error's code, message and path are there; gives the code.
  static std::string error_code(const RawAnswer& answer) {
    const json body = json::parse(answer.body, nullptr, false);
    if (!body.is_object() || !body.contains("error")) return "no error object: " + answer.body;
    const json& error = body["error"];
    const bool whole = error.contains("message") && !error["message"].get<std::string>().empty() &&
                       error.contains("path");
    return whole ? error["code"].get<std::string>() : "not whole: " + answer.body;
  }
  template <typename T>
  T only_command() {
    std::vector<core::Command> commands;
    server.on_loop([&](FakeBackend& backend, Server&) { commands = backend.commands; });
    EXPECT_EQ(commands.size(), 1U);
    if (commands.size() != 1 || !std::holds_alternative<T>(commands[0])) {
      ADD_FAILURE() << "another command";
      return {};
    }
    return std::get<T>(commands[0]);
  }

  ApiServer server;
};

struct Read {
  const char* path;
  const char* part;
};

class ApiReads : public Api, public testing::WithParamInterface<Read> {};

TEST_P(ApiReads, AnswersOverBothListeners) {
  for (const bool over_tcp : {false, true}) {
    const RawAnswer answer = (over_tcp ? tcp() : local()).get(GetParam().path);
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_NE(answer.body.find(GetParam().part), std::string::npos) << answer.body;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Routes, ApiReads,
    testing::Values(Read{"/v1/status", R"({"cluster":{"name":"llm-prod","generation":1)"},
                    Read{"/v1/members", R"({"members":[{"name":"gpu1")"},
                    Read{"/v1/services", R"({"services":[{"name":"chat","verdict":"degraded")"},
                    Read{"/v1/nodes", R"({"nodes":[{"name":"chat-a")"},
                    Read{"/v1/nodes/chat-a", R"("reason":"2 of 3 observers: refused")"},
                    Read{"/v1/incidents", R"({"incidents":[{"id":17)"},
                    Read{"/v1/incidents/17", R"({"id":17,"service":"chat","node":"chat-a")"},
                    Read{"/v1/runs", R"({"runs":[{"id":5)"},
                    Read{"/v1/runs/5", R"({"id":5,"playbook":"builtin","incident":17)"},
                    Read{"/v1/spec", R"({"revision":3,"files":[{"name":"chat.yaml")"},
                    Read{"/healthz", "ok"}, Read{"/readyz", "ready"}, Read{"/", "/v1/status"}));

TEST_F(Api, ALeaseIsGrantedRenewedAndReleased) {
  server.on_loop(
      [](FakeBackend& backend, Server&) { backend.answer = {.text = "granted", .number = 42}; });
  const RawAnswer answer =
      local().post("/v1/leases/locks/nightly/grant", R"({"holder":"me","duration":"10s"})");
  EXPECT_EQ(answer.body, "{\"message\":\"granted\",\"token\":42}\n");
  const auto grant = only_command<core::command::LeaseGrant>();
  EXPECT_EQ(grant.name, "locks/nightly");
  EXPECT_EQ(grant.holder, "me");
  EXPECT_EQ(grant.duration, std::chrono::seconds(10));
  server.on_loop([](FakeBackend& backend, Server&) { backend.commands.clear(); });
  local().post("/v1/leases/locks/nightly/renew", R"({"holder":"me","token":42})");
  EXPECT_EQ(only_command<core::command::LeaseRenew>().token, 42U);
  server.on_loop([](FakeBackend& backend, Server&) { backend.commands.clear(); });
  local().post("/v1/leases/locks/nightly/release", R"({"holder":"me","token":42})");
  EXPECT_EQ(only_command<core::command::LeaseRelease>().holder, "me");
}

TEST_F(Api, ALeaseRequestThatIsNoneIsRefused) {
  for (const auto& [path, body] : std::vector<std::pair<std::string, std::string>>{
           {"/v1/leases/x/grant", R"({"holder":"me","duration":"soon"})"},
           {"/v1/leases/x/grant", R"({"holder":"me","ttl":"3s"})"},
           {"/v1/leases/x/renew", R"({"holder":"me"})"},
           {"/v1/leases/x/renew", R"({"holder":"me","token":"42"})"},
           {"/v1/leases/a+b/grant", R"({"holder":"me"})"}}) {
    const RawAnswer answer = local().post(path, body);
    EXPECT_EQ(answer.status, 400) << path << body;
  }
  EXPECT_EQ(local().post("/v1/leases/x/steal", "{}").status, 404);
  EXPECT_EQ(local().post("/v1/leases/x", "{}").status, 404);
}

TEST_F(Api, AConnectionIsKeptBetweenRequests) {
  RawClient client = local();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.get("/v1/status").status, 200);
  EXPECT_EQ(client.post("/v1/unfreeze").status, 200);
  EXPECT_EQ(client.get("/v1/nodes").status, 200);
}

TEST_F(Api, HeadHasNoBody) {
  RawClient client = local();
  client.send("HEAD /v1/status HTTP/1.1\r\nHost: fettle\r\n\r\n");
  const RawAnswer head = client.read_answer(true);
  EXPECT_EQ(head.status, 200);
}

TEST_F(Api, WhatDoesNotExistIs404) {
  RawClient client = local();
  for (const char* path : {"/v1/nodes/nobody", "/v1/incidents/99", "/v1/runs/99", "/v1/what",
                           "/v1/services/chat", "/v2/status", "/v1", "/v1/nodes/a/b/c"}) {
    const RawAnswer answer = client.get(path);
    EXPECT_EQ(answer.status, 404) << path;
    EXPECT_EQ(error_code(answer), "not_found") << path;
  }
}

TEST_F(Api, AnIdThatIsNoNumberIs400) {
  RawClient client = local();
  for (const char* path : {"/v1/incidents/x", "/v1/runs/-1", "/v1/runs/99999999999999999999"}) {
    EXPECT_EQ(error_code(client.get(path)), "invalid") << path;
  }
}

TEST_F(Api, AReadIsLinearizableUnlessStaleIsAsked) {
  RawClient client = local();
  const json fresh = json::parse(client.get("/v1/status").body);
  const json stale = json::parse(client.get("/v1/status?consistency=stale").body);
  EXPECT_FALSE(fresh.contains("stale_ms"));
  EXPECT_EQ(stale["stale_ms"], 1500);
  EXPECT_EQ(client.get("/v1/status?consistency=maybe").status, 400);
  server.on_loop([](FakeBackend& backend, Server&) {
    EXPECT_EQ(backend.reads, (std::vector<bool>{true, false}));
  });
}

TEST_F(Api, AScrapeIsAnsweredInPrometheusFormatWithoutALeaderToo) {
  server.on_loop([](FakeBackend& backend, Server&) {
    backend.has_leader = false;
    backend.numbers.group.raft.term = 7;
  });
  for (const bool over_tcp : {false, true}) {
    const RawAnswer answer = (over_tcp ? tcp() : local()).get("/metrics");
    EXPECT_EQ(answer.status, 200);
    const std::string type = "content-type: text/plain; version=0.0.4; charset=utf-8\r\n";
    EXPECT_NE(answer.head.find(type), std::string::npos) << answer.head;
    EXPECT_NE(answer.body.find("\nfettle_raft_term 7\n"), std::string::npos) << answer.body;
    EXPECT_EQ((over_tcp ? tcp() : local()).post("/metrics").status, over_tcp ? 403 : 404);
  }
}

TEST_F(Api, WithoutALeaderOnlyStaleReadsAreAnswered) {
  server.on_loop([](FakeBackend& backend, Server&) { backend.has_leader = false; });
  RawClient client = tcp();
  const RawAnswer fresh = client.get("/v1/status");
  EXPECT_EQ(fresh.status, 503);
  EXPECT_EQ(error_code(fresh), "not_leader");
  EXPECT_EQ(client.get("/v1/status?consistency=stale").status, 200);
  EXPECT_EQ(client.get("/readyz").status, 503);
  EXPECT_EQ(client.get("/healthz").status, 200);
}

TEST_F(Api, TcpOnlyReads) {
  RawClient client = tcp();
  for (const char* path : {"/v1/spec", "/v1/nodes/chat-a/isolate", "/v1/freeze", "/v1/unfreeze"}) {
    const RawAnswer answer = client.post(path, "{}");
    EXPECT_EQ(answer.status, 403) << path;
    EXPECT_EQ(error_code(answer), "read_only") << path;
  }
  server.on_loop([](FakeBackend& backend, Server&) { EXPECT_TRUE(backend.commands.empty()); });
}

TEST_F(Api, IsolateBecomesACommandWithItsReason) {
  server.on_loop(
      [](FakeBackend& backend, Server&) { backend.answer = {.text = "run 6", .number = 6}; });
  const RawAnswer answer =
      local().post("/v1/nodes/chat-b/isolate", R"({"reason":"smells","force":true})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "{\"message\":\"run 6\",\"run\":6}\n");
  const auto command = only_command<core::command::Isolate>();
  EXPECT_EQ(command.node, "chat-b");
  EXPECT_EQ(command.reason, "smells");
  EXPECT_EQ(command.by, "root") << "the kernel says who is at the other end";
  EXPECT_TRUE(command.force);
}

TEST_F(Api, RestoreBecomesACommand) {
  EXPECT_EQ(local().post("/v1/nodes/chat-a/restore", R"({"reason":"mended"})").status, 200);
  EXPECT_EQ(only_command<core::command::Restore>().node, "chat-a");
}

TEST_F(Api, FreezeTakesALengthAndUnfreezeEndsIt) {
  EXPECT_EQ(local().post("/v1/freeze", R"({"for":"90m","reason":"r","service":"chat"})").status,
            200);
  const auto command = only_command<core::command::Freeze>();
  EXPECT_EQ(command.length, std::chrono::minutes(90));
  EXPECT_EQ(command.service, "chat");
  EXPECT_EQ(local().post("/v1/unfreeze").status, 200);
}

TEST_F(Api, AFreezeWithoutALengthLastsAnHour) {
  EXPECT_EQ(local().post("/v1/freeze").status, 200);
  EXPECT_EQ(only_command<core::command::Freeze>().length, std::chrono::hours(1));
}

TEST_F(Api, WhatIsWrongInABodyIs400AndChangesNothing) {
  RawClient client = local();
  for (const auto& [path, body] : std::initializer_list<std::pair<const char*, const char*>>{
           {"/v1/freeze", R"({"for":"soon"})"},
           {"/v1/freeze", R"({"for":"0s"})"},
           {"/v1/freeze", R"({"for":"31d"})"},
           {"/v1/freeze", R"({"fro":"1h"})"},
           {"/v1/freeze", R"([1])"},
           {"/v1/freeze", R"({"for":)"},
           {"/v1/nodes/chat-a/isolate", R"({"force":"yes"})"},
           {"/v1/nodes/chat-a/isolate", R"({"reason":7})"},
           {"/v1/nodes/chat-a/restore", R"({"force":true})"}}) {
    const RawAnswer answer = client.post(path, body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_EQ(error_code(answer), "invalid") << body;
  }
  EXPECT_EQ(client.post("/v1/nodes/chat-a/explode").status, 404);
  server.on_loop([](FakeBackend& backend, Server&) { EXPECT_TRUE(backend.commands.empty()); });
}

TEST_F(Api, WhatARuleForbidsIs409WithTheEnginesSentence) {
  server.on_loop([](FakeBackend& backend, Server&) {
    backend.answer = {
        .ok = false, .code = Code::Conflict, .text = "chat-b is the last node in service"};
  });
  const RawAnswer answer = local().post("/v1/nodes/chat-b/isolate");
  EXPECT_EQ(answer.status, 409);
  EXPECT_EQ(answer.body,
            R"({"error":{"code":"conflict","message":"chat-b is the last node in service",)"
            R"("path":"/v1/nodes/chat-b/isolate"}})"
            "\n");
}

TEST_F(Api, AnOutcomeThatNobodyKnowsIs504WithTheKey) {
  server.on_loop([](FakeBackend& backend, Server&) {
    backend.write_fails = Error{Code::InDoubt, "the leader changed"};
  });
  const RawAnswer named = local().post("/v1/unfreeze", "", "Idempotency-Key: abc-1\r\n");
  EXPECT_EQ(named.status, 504);
  EXPECT_EQ(error_code(named), "in_doubt");
  EXPECT_EQ(json::parse(named.body)["error"]["key"], "abc-1");
  const RawAnswer unnamed = local().post("/v1/unfreeze");
  const auto made = json::parse(unnamed.body)["error"]["key"].get<std::string>();
  EXPECT_TRUE(made.starts_with("made:42-")) << made;

  const RawAnswer again = local().post("/v1/unfreeze", "", "Idempotency-Key: " + made + "\r\n");
  EXPECT_EQ(again.status, 504);
  server.on_loop([&](FakeBackend& backend, Server&) {
    EXPECT_EQ(backend.keys, (std::vector<std::string>{"abc-1", made, "again:" + made}));
  });
}

TEST_F(Api, TheIdempotencyKeyGoesToTheBackend) {
  EXPECT_EQ(local().post("/v1/unfreeze", "", "Idempotency-Key: k1\r\n").status, 200);
  EXPECT_EQ(local().post("/v1/unfreeze", "", "Idempotency-Key: k 2\r\n").status, 400);
  server.on_loop([](FakeBackend& backend, Server&) {
    EXPECT_EQ(backend.keys, (std::vector<std::string>{"k1"}));
  });
}

TEST_F(Api, ALargeBodyWithinTheBoundArrivesWhole) {
  server.on_loop([](FakeBackend& backend, Server&) { backend.outcome.errors = {"no"}; });
  const std::string large(Server::kBodyBytesMax, 'x');
  EXPECT_EQ(local().post("/v1/spec", large).status, 400);
  server.on_loop([&](FakeBackend& backend, Server&) {
    EXPECT_EQ(backend.parsed.at(0).at(0).text.size(), large.size());
  });
}

TEST_F(Api, ABodyBeyondTheBoundIs413BeforeItIsRead) {
  RawClient client = local();
  const RawAnswer answer =
      client.ask("POST /v1/spec HTTP/1.1\r\nHost: f\r\nContent-Length: 9437185\r\n\r\n");
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(error_code(answer), "too_large");
}

TEST_F(Api, ABodyBeyondTheBoundCanBeSentAndStillTheAnswerIsRead) {
  RawClient client = local();
  const RawAnswer answer = client.post("/v1/spec", std::string(Server::kBodyBytesMax + 1, 'x'));
  EXPECT_EQ(answer.status, 413);
  EXPECT_TRUE(client.ends());
}

TEST_F(Api, AChunkedBodyAndABadLengthAreRefused) {
  EXPECT_EQ(local()
                .ask("POST /v1/unfreeze HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "0\r\n\r\n")
                .status,
            411);
  EXPECT_EQ(
      local().ask("POST /v1/unfreeze HTTP/1.1\r\nHost: f\r\nContent-Length: 1x\r\n\r\n").status,
      400);
  server.on_loop([](FakeBackend& backend, Server&) { EXPECT_TRUE(backend.commands.empty()); });
}

TEST_F(Api, APostWithoutALengthHasNoBody) {
  EXPECT_EQ(local().ask("POST /v1/unfreeze HTTP/1.1\r\nHost: f\r\n\r\n").status, 200);
  only_command<core::command::Unfreeze>();
}

TEST_F(Api, APostIsCarriedOutOnceWhateverFollowsIt) {
  RawClient client = local();
  client.send(
      "POST /v1/unfreeze HTTP/1.1\r\nHost: f\r\nContent-Length: 2\r\n\r\n{}"
      "GET /v1/status HTTP/1.1\r\nHost: f\r\n\r\n");
  EXPECT_EQ(client.read_answer().status, 200);
  EXPECT_EQ(client.read_answer().status, 200);
  only_command<core::command::Unfreeze>();
}

TEST_F(Api, OtherMethodsAre405) {
  EXPECT_EQ(local().ask("DELETE /v1/spec HTTP/1.1\r\nHost: f\r\n\r\n").status, 405);
  EXPECT_EQ(local().ask("PUT /v1/spec HTTP/1.1\r\nHost: f\r\nContent-Length: 1\r\n\r\nx").status,
            405);
}

TEST_F(Api, GarbageAndUpgradesAreClosedAndTheServerLivesOn) {
  const std::string_view binary("\x16\x03\x01\x00\x05\x00\xff\r\n\r\n", 11);
  for (const std::string_view bytes :
       {binary, std::string_view("nonsense\r\n\r\n"), std::string_view("GET\r\n\r\n"),
        std::string_view("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"),
        std::string_view("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        std::string_view(
            "GET / HTTP/1.1\r\nHost: f\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"),
        std::string_view("GET / HTTP/1.1\r\nHost: f\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                         "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")}) {
    RawClient client = local();
    client.send(bytes);
    shutdown(client.fd(), SHUT_WR);
    EXPECT_FALSE(client.read_until("101 ")) << bytes;
    EXPECT_EQ(local().get("/healthz").status, 200) << bytes;
  }
}

TEST_F(Api, AHeaderBeyondItsBoundIsClosed) {
  RawClient client = local();
  client.send("GET /v1/status HTTP/1.1\r\nHost: f\r\nX-Long: " + std::string(200'000, 'x') +
              "\r\n\r\n");
  EXPECT_TRUE(client.ends());
  EXPECT_EQ(local().get("/healthz").status, 200);
}

TEST_F(Api, AnAnswerAfterTheClientLeftFindsNobody) {
  server.on_loop([](FakeBackend& backend, Server&) { backend.hold_writes = true; });
  {
    RawClient client = local();
    client.send("POST /v1/unfreeze HTTP/1.1\r\nHost: f\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(local().get("/healthz").status, 200);
  }
  EXPECT_EQ(local().get("/healthz").status, 200);
  server.on_loop([](FakeBackend& backend, Server&) {
    ASSERT_EQ(backend.held.size(), 1U);
    backend.held[0](core::ClientAnswer{.text = "late"});
  });
  EXPECT_EQ(local().get("/healthz").status, 200);
}

TEST_F(Api, TheServerMayEndWithRequestsUnderWay) {
  std::function<void(Result<core::ClientAnswer>)> late;
  {
    ApiServer ending;
    ending.on_loop([](FakeBackend& backend, Server&) { backend.hold_writes = true; });
    RawClient client = RawClient::local(ending.socket);
    client.send("POST /v1/unfreeze HTTP/1.1\r\nHost: f\r\nContent-Length: 0\r\n\r\n");
    RawClient idle = RawClient::local(ending.socket);
    for (bool held = false; !held;) {
      ending.on_loop([&](FakeBackend& backend, Server&) {
        held = !backend.held.empty();
        if (held) late = backend.held[0];
      });
    }
  }
  late(core::ClientAnswer{.text = "nobody is there"});
  EXPECT_EQ(local().get("/healthz").status, 200);
}

TEST_F(Api, ConnectionsAreBoundedAndTcpCannotLockOutTheLocalSocket) {
  std::vector<RawClient> crowd;
  for (int i = 0; i < Server::kTcpConnectionsMax; ++i) {
    crowd.push_back(tcp());
    EXPECT_EQ(crowd.back().get("/healthz").status, 200);
  }
  RawClient beyond = tcp();
  EXPECT_TRUE(beyond.ends());
  EXPECT_EQ(local().get("/healthz").status, 200);
  crowd.clear();
  RawAnswer again;
  for (int i = 0; i < 1000 && again.status != 200; ++i) again = tcp().get("/healthz");
  EXPECT_EQ(again.status, 200);
}

TEST_F(Api, TheSocketIsForItsGroupOnly) {
  struct stat file{};
  ASSERT_EQ(stat(server.socket.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777U, 0660U);
}

TEST_F(Api, APortInUseIsAnError) {
  const std::uint16_t taken = server.port;
  server.on_loop([taken](FakeBackend& backend, Server&) {
    io::Loop loop;
    const auto second =
        Server::start(loop, backend, {.tcp = core::Address{"127.0.0.1", taken}, .socket = ""});
    ASSERT_FALSE(second.has_value());
    EXPECT_NE(second.error().what.find("cannot listen on 127.0.0.1:" + std::to_string(taken)),
              std::string::npos);
  });
}

TEST(ApiTimeouts, ClientsThatAreSlowToAskAreClosed) {
  ApiServer server(std::chrono::seconds(1));
  RawClient silent = RawClient::local(server.socket);
  RawClient half = RawClient::local(server.socket);
  half.send("GET /v1/status HTTP/1.1\r\nHos");
  RawClient body = RawClient::local(server.socket);
  body.send("POST /v1/spec HTTP/1.1\r\nHost: f\r\nContent-Length: 100\r\n\r\nver");
  EXPECT_TRUE(silent.ends());
  EXPECT_TRUE(half.ends());
  EXPECT_TRUE(body.ends());
}

TEST(ApiTimeouts, AHeaderThatTricklesIsClosed) {
  ApiServer server(std::chrono::seconds(1));
  RawClient client = RawClient::local(server.socket);
  client.send("GET /v1/status HTTP/1.1\r\nX: ");
  bool closed = false;
  constexpr int kTicksMax = 50;
  constexpr int kTickMs = 100;
  for (int i = 0; i < kTicksMax && !closed; ++i)
    closed = !client.send("x") || client.is_hung_up_on(kTickMs);
  EXPECT_TRUE(closed);
}

}  // namespace
}  // namespace fettle::api
