// Stories of /v1/kv over real sockets: what a value may be, conditions, what is refused; and of the
// watch: from now on, from a revision, and when that revision is no longer kept.
#include "core/kv.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/kv_changes.h"
#include "tests/api/fake_backend.h"
#include "tests/api/raw_client.h"

namespace fettle::api {
namespace {

using nlohmann::json;

class KvApi : public testing::Test {
 protected:
  RawClient local() const { return RawClient::local(server.socket); }
  static RawAnswer send(RawClient& client, const std::string& method, const std::string& path,
                        const std::string& body = "", const std::string& headers = "") {
    return client.ask(method + " " + path + " HTTP/1.1\r\nHost: fettle\r\n" + headers +
                      "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  void answer_with(const core::ClientAnswer& answer) {
    server.on_loop([&](FakeBackend& backend, Server&) { backend.answer = answer; });
  }
  void holds(const std::string& key, const std::string& value, std::uint64_t revision) {
    server.on_loop([&](FakeBackend& backend, Server&) {
      backend.kv.values[key] = {value, revision};
      backend.kv.revision = std::max(backend.kv.revision, revision);
    });
  }
  template <typename T>
  T last_command() {
    T found;
    server.on_loop([&](FakeBackend& backend, Server&) {
      ASSERT_FALSE(backend.commands.empty());
      ASSERT_TRUE(std::holds_alternative<T>(backend.commands.back()));
      found = std::get<T>(backend.commands.back());
    });
    return found;
  }
  static core::effect::KvChanged put(const std::string& key, std::uint64_t revision) {
    return {key, revision, "\"v" + std::to_string(revision) + "\""};
  }
  void publish(const std::vector<core::effect::KvChanged>& changes) {
    server.on_loop([&](FakeBackend& backend, Server& api) {
      backend.kv.revision = changes.back().revision;
      api.publish(changes);
    });
  }
  RawClient watch(const std::string& query, const std::string& headers = "") const {
    RawClient client = RawClient::tcp(server.port);
    client.send("GET /v1/kv?" + query + " HTTP/1.1\r\nHost: f\r\n" + headers + "\r\n");
    EXPECT_NE(client.take_until("\r\n\r\n").find("content-type: text/event-stream"),
              std::string::npos);
    EXPECT_TRUE(client.read_until(": fettle\n\n"));
    return client;
  }

  ApiServer server;
};

TEST_F(KvApi, GetAnswersValueAndRevisionOverBothListeners) {
  holds("locks/a", R"({"by":"ann","n":[1,2.5,null]})", 7);
  for (const bool over_tcp : {false, true}) {
    RawClient client = over_tcp ? RawClient::tcp(server.port) : local();
    const RawAnswer answer = client.get("/v1/kv/locks/a");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "{\"value\":{\"by\":\"ann\",\"n\":[1,2.5,null]},\"revision\":7}\n");
  }
}

TEST_F(KvApi, GetIsLinearizableUnlessStaleIsAsked) {
  holds("x", "1", 1);
  RawClient client = local();
  EXPECT_EQ(client.get("/v1/kv/x").status, 200);
  EXPECT_EQ(client.get("/v1/kv/x?consistency=stale").body,
            "{\"value\":1,\"revision\":1,\"stale_ms\":0}\n");
  EXPECT_EQ(client.get("/v1/kv/x?consistency=eventual").status, 400);
  server.on_loop([](FakeBackend& backend, Server&) {
    EXPECT_EQ(backend.reads, (std::vector<bool>{true, false}));
    backend.has_leader = false;
  });
  EXPECT_EQ(client.get("/v1/kv/x").status, 503);
  EXPECT_EQ(client.get("/v1/kv/x?consistency=stale").status, 200);
}

TEST_F(KvApi, WhatIsNotThereIs404) {
  RawClient client = local();
  EXPECT_EQ(client.get("/v1/kv/x").status, 404);
  EXPECT_EQ(client.get("/v1/kv").status, 404);
  EXPECT_EQ(client.get("/v1/kv/").status, 404);
  EXPECT_EQ(client.get("/v1/kvx").status, 404);
}

TEST_F(KvApi, PutCommitsTheCanonicalTextAndAnswersTheRevision) {
  answer_with({.text = "revision 12", .number = 12});
  RawClient client = local();
  const RawAnswer answer =
      send(client, "PUT", "/v1/kv/a/b", "{ \"value\": {\"z\": 1,\n \"a\": [true, \"\\u00e4\"]} }");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "{\"revision\":12}\n");
  const auto command = last_command<core::command::KvPut>();
  EXPECT_EQ(command.key, "a/b");
  EXPECT_EQ(command.value, "{\"a\":[true,\"ä\"],\"z\":1}");
  EXPECT_EQ(command.expect, std::nullopt);
}

TEST_F(KvApi, TheConnectionIsKeptAfterPutAndDelete) {
  RawClient client = local();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(send(client, "PUT", "/v1/kv/x", R"({"value":1})").status, 200);
    EXPECT_EQ(send(client, "DELETE", "/v1/kv/x").status, 200);
  }
}

TEST_F(KvApi, ALargeValueComesWhole) {
  RawClient client = local();
  const std::string text(core::kKvValueBytesMax - 2, 'v');
  EXPECT_EQ(send(client, "PUT", "/v1/kv/x", "{\"value\":\"" + text + "\"}").status, 200);
  EXPECT_EQ(last_command<core::command::KvPut>().value, "\"" + text + "\"");
  const RawAnswer larger = send(client, "PUT", "/v1/kv/x", "{\"value\":\"" + text + "v\"}");
  EXPECT_EQ(larger.status, 413);
  EXPECT_NE(larger.body.find("too_large"), std::string::npos);
}

TEST_F(KvApi, IfMatchMakesAChangeConditional) {
  RawClient client = local();
  send(client, "PUT", "/v1/kv/x", R"({"value":1})", "If-Match: 5\r\n");
  EXPECT_EQ(last_command<core::command::KvPut>().expect, 5U);
  send(client, "PUT", "/v1/kv/x", R"({"value":1})", "If-Match: \"0\"\r\n");
  EXPECT_EQ(last_command<core::command::KvPut>().expect, 0U);
  send(client, "DELETE", "/v1/kv/x", "", "If-Match: 9\r\n");
  EXPECT_EQ(last_command<core::command::KvDelete>().expect, 9U);
  EXPECT_EQ(send(client, "DELETE", "/v1/kv/x", "", "If-Match: *\r\n").status, 400);
}

TEST_F(KvApi, ARevisionThatDoesNotMatchIs412) {
  answer_with({.ok = false, .code = Code::Conflict, .text = "x is at revision 4"});
  RawClient client = local();
  for (const char* method : {"PUT", "DELETE"}) {
    const RawAnswer answer = send(client, method, "/v1/kv/x", R"({"value":1})", "If-Match: 3\r\n");
    EXPECT_EQ(answer.status, 412);
    EXPECT_EQ(json::parse(answer.body)["error"]["message"], "x is at revision 4");
  }
}

TEST_F(KvApi, WhatIsNoValueIs400AndChangesNothing) {
  std::string deep = "{\"value\":";
  for (int i = 0; i < 100'000; ++i) deep += '[';
  for (int i = 0; i < 100'000; ++i) deep += ']';
  deep += "}";
  for (const std::string& body :
       {std::string(), std::string("7"), std::string("{}"), std::string(R"({"value":1,"x":2})"),
        std::string(R"({"value":1)"), std::string(R"({"valu":1})"), deep}) {
    RawClient client = local();
    EXPECT_EQ(send(client, "PUT", "/v1/kv/x", body).status, 400) << body.substr(0, 40);
  }
  RawClient client = local();
  EXPECT_EQ(send(client, "PUT", "/v1/kv/a+b", R"({"value":1})").status, 400);
  server.on_loop([](FakeBackend& backend, Server&) { EXPECT_TRUE(backend.commands.empty()); });
}

TEST_F(KvApi, AnUnknownOutcomeIs504WithTheKeyToAskAgain) {
  server.on_loop([](FakeBackend& backend, Server&) {
    backend.write_fails = Error{Code::InDoubt, "nobody knows"};
  });
  RawClient client = local();
  const RawAnswer answer =
      send(client, "PUT", "/v1/kv/x", R"({"value":1})", "Idempotency-Key: k-1\r\n");
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(json::parse(answer.body)["error"]["key"], "k-1");
}

TEST_F(KvApi, OverTcpNothingIsWritten) {
  for (const char* method : {"PUT", "DELETE"}) {
    RawClient client = RawClient::tcp(server.port);
    EXPECT_EQ(send(client, method, "/v1/kv/x", R"({"value":1})").status, 403) << method;
  }
}

TEST_F(KvApi, OtherPathsTakeNoPut) {
  RawClient client = local();
  EXPECT_EQ(send(client, "PUT", "/v1/spec", "{}").status, 405);
}

TEST_F(KvApi, AWatcherGetsTheChangesOfItsPrefixFromNowOn) {
  publish({put("a/1", 1), put("b/1", 2)});
  RawClient client = watch("watch=a/");
  publish({put("b/2", 3), put("a/2", 4), {"a/1", 5, std::nullopt}});
  const std::string text = client.take_until("\"revision\":5}\n\n");
  EXPECT_EQ(text,
            ": fettle\n\n"
            "id: 4\nevent: put\n"
            "data: {\"kind\":\"put\",\"key\":\"a/2\",\"value\":\"v4\",\"revision\":4}\n\n"
            "id: 5\nevent: delete\n"
            "data: {\"kind\":\"delete\",\"key\":\"a/1\",\"revision\":5}\n\n");
}

TEST_F(KvApi, AWatcherGoesOnAfterTheRevisionItSaw) {
  publish({put("a", 1), put("a", 2), put("a", 3)});
  for (const bool by_header : {false, true}) {
    RawClient client =
        by_header ? watch("watch=", "Last-Event-ID: 1\r\n") : watch("watch=&since=1");
    const std::string text = client.take_until("\"revision\":3}\n\n");
    EXPECT_EQ(text.find("\"revision\":1}"), std::string::npos);
    EXPECT_NE(text.find("\"revision\":2}"), std::string::npos);
    EXPECT_EQ(text.find("reset"), std::string::npos);
  }
}

TEST_F(KvApi, ARevisionThatIsNoLongerKeptIsAnsweredByAResetAndWhatThereIs) {
  holds("a/old", "\"o\"", 3);
  holds("a/new", "\"n\"", 90);
  publish({put("b", 100)});
  RawClient client = watch("watch=a/&since=2");
  publish({put("a/x", 101)});
  const std::string text = client.take_until("\"revision\":101}\n\n");
  EXPECT_EQ(text,
            ": fettle\n\n"
            "id: 0\nevent: reset\ndata: {\"kind\":\"reset\",\"revision\":100}\n\n"
            "id: 3\nevent: put\n"
            "data: {\"kind\":\"put\",\"key\":\"a/old\",\"value\":\"o\",\"revision\":3}\n\n"
            "id: 90\nevent: put\n"
            "data: {\"kind\":\"put\",\"key\":\"a/new\",\"value\":\"n\",\"revision\":90}\n\n"
            "id: 101\nevent: put\n"
            "data: {\"kind\":\"put\",\"key\":\"a/x\",\"value\":\"v101\",\"revision\":101}\n\n");
}

TEST_F(KvApi, AWatcherWhoseMemberTookOverASnapshotIsCutAndBeginsAnew) {
  publish({put("a", 1), put("a", 2)});
  RawClient client = watch("watch=a");
  publish({put("a", 9)});
  EXPECT_TRUE(client.ends()) << "what changed between 2 and 9 is not known here";
  EXPECT_TRUE(watch("watch=a&since=2").read_until("event: reset"));
}

TEST_F(KvApi, ATakenOverSnapshotAloneCutsAWatcherOfBefore) {
  publish({put("a", 1), put("a", 2)});
  RawClient client = watch("watch=a");
  server.on_loop([&](FakeBackend& backend, Server& api) {
    backend.kv.revision = 9;
    api.skip_changes_to(9);
  });
  EXPECT_TRUE(client.ends()) << "what changed between 2 and 9 is not known here";
  EXPECT_TRUE(watch("watch=a&since=2").read_until("event: reset"));
}

TEST_F(KvApi, ASnapshotThatTellsNothingNewCutsNobody) {
  publish({put("a", 1), put("a", 2)});
  RawClient client = watch("watch=a");
  server.on_loop([&](FakeBackend&, Server& api) { api.skip_changes_to(2); });
  publish({put("a", 3)});
  EXPECT_TRUE(client.read_until("\"revision\":3}"));
}

TEST_F(KvApi, ASinceThatIsNoRevisionIs400) {
  RawClient client = RawClient::tcp(server.port);
  EXPECT_EQ(client.get("/v1/kv?watch=a&since=x").status, 400);
}

TEST_F(KvApi, WatchesAreBoundedInNumber) {
  std::vector<RawClient> clients;
  for (int i = 0; i < Server::kWatchesMax; ++i) clients.push_back(watch("watch=a"));
  EXPECT_EQ(RawClient::tcp(server.port).get("/v1/kv?watch=a").status, 503);
}

TEST(KvChanges, KeepAsManyBytesAsTheyMay) {
  KvChanges changes;
  const std::string large(1024 * 1024, '1');
  for (std::uint64_t revision = 1; revision <= 40; ++revision) {
    changes.add({"k", revision, large});
  }
  EXPECT_FALSE(changes.covers(24));
  EXPECT_TRUE(changes.covers(25));
  EXPECT_TRUE(changes.after(3, "", 10).gap);
  const auto batch = changes.after(38, "k", 10);
  EXPECT_EQ(batch.changes.size(), 2U);
  EXPECT_EQ(batch.place, 40U);
}

TEST(KvChanges, APlaceMovesOnOverWhatIsNotWatched) {
  KvChanges changes;
  for (std::uint64_t revision = 1; revision <= 9; ++revision) changes.add({"b", revision, "1"});
  changes.add({"a", 10, "1"});
  const auto batch = changes.after(0, "a", 1);
  ASSERT_EQ(batch.changes.size(), 1U);
  EXPECT_EQ(batch.changes[0]->revision, 10U);
  EXPECT_EQ(changes.after(batch.place, "a", 1).changes.size(), 0U);
}

}  // namespace
}  // namespace fettle::api
