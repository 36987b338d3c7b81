// Stories of POST /v1/spec over real sockets: what a body may be, what is compared, what is forced.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/api/example_state.h"
#include "tests/api/fake_backend.h"
#include "tests/api/raw_client.h"

namespace fettle::api {
namespace {

using nlohmann::json;

class SpecApi : public testing::Test {
 protected:
  void SetUp() override {
    server.on_loop([](FakeBackend& backend, Server&) { backend.snapshot = example_snapshot(); });
  }
  RawClient local() const { return RawClient::local(server.socket); }
  core::command::ApplySpec only_command() {
    std::vector<core::Command> commands;
    server.on_loop([&](FakeBackend& backend, Server&) { commands = backend.commands; });
    EXPECT_EQ(commands.size(), 1U);
    return std::get<core::command::ApplySpec>(commands.at(0));
  }

  ApiServer server;
};

TEST_F(SpecApi, ASpecIsParsedComparedAndCommitted) {
  server.on_loop([](FakeBackend& backend, Server&) {
    backend.outcome.spec = example_spec();
    backend.outcome.spec->services[0].max_isolated = 2;
    backend.answer = {.text = "revision 4", .number = 4};
  });
  const RawAnswer answer = local().post("/v1/spec?base=3&prune=true",
                                        R"({"files":[{"name":"a.yaml","text":"version: 1"}]})",
                                        "Content-Type: application/json\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body,
            "{\"message\":\"revision 4\",\"revision\":4,\"changes\":[\"~ service chat: "
            "max_isolated 1 → 2\"]}\n");
  const auto command = only_command();
  EXPECT_EQ(command.base, 3U);
  EXPECT_FALSE(command.any_base);
  EXPECT_EQ(command.removal, core::command::Removal::Prune);
  server.on_loop(
      [](FakeBackend& backend, Server&) { EXPECT_EQ(backend.parsed.at(0).at(0).name, "a.yaml"); });
}

TEST_F(SpecApi, WhatFettleHoldsIsAbandonedOnlyWhereThatIsSaid) {
  server.on_loop([](FakeBackend& backend, Server&) { backend.outcome.spec = example_spec(); });
  for (const char* wrong : {"force=abandon", "prune=true&force=maybe"}) {
    EXPECT_EQ(local().post(std::string("/v1/spec?") + wrong, "version: 1\n").status, 400) << wrong;
  }
  EXPECT_EQ(local().post("/v1/spec?prune=true&force=abandon", "version: 1\n").status, 200);
  EXPECT_EQ(only_command().removal, core::command::Removal::Abandon);
}

TEST_F(SpecApi, ADryRunShowsTheDifferenceAndCommitsNothing) {
  server.on_loop([](FakeBackend& backend, Server&) {
    backend.outcome.spec = example_spec();
    backend.outcome.spec->receivers.clear();
  });
  const RawAnswer answer =
      local().post("/v1/spec?dry_run=true", "version: 1\n", "Content-Type: application/yaml\r\n");
  EXPECT_EQ(answer.body, "{\"revision\":3,\"changes\":[\"- receiver oncall\"]}\n");
  server.on_loop([](FakeBackend& backend, Server&) {
    EXPECT_TRUE(backend.commands.empty());
    EXPECT_EQ(backend.parsed.at(0).at(0).text, "version: 1\n");
  });
}

TEST_F(SpecApi, ASpecThatIsJsonIsTakenAsItIs) {
  server.on_loop([](FakeBackend& backend, Server&) { backend.outcome.spec = example_spec(); });
  const std::string spec = R"({"version":1,"services":[]})";
  EXPECT_EQ(
      local().post("/v1/spec?dry_run=true", spec, "Content-Type: application/json\r\n").status,
      200);
  server.on_loop([&spec](FakeBackend& backend, Server&) {
    EXPECT_EQ(backend.parsed.at(0).at(0).name, "spec.json");
    EXPECT_EQ(backend.parsed.at(0).at(0).text, spec);
  });
}

TEST_F(SpecApi, EveryErrorOfASpecIsAnswered) {
  server.on_loop([](FakeBackend& backend, Server&) {
    backend.outcome.errors = {"a.yaml:1:1: first", "a.yaml:2:1: second"};
  });
  RawClient client = local();
  const RawAnswer answer = client.post("/v1/spec", "nonsense");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(json::parse(answer.body)["error"]["message"], "a.yaml:1:1: first\na.yaml:2:1: second");
  const std::string type = "Content-Type: application/json\r\n";
  EXPECT_EQ(client.post("/v1/spec", R"({"files":[{"name":"a"}]})", type).status, 400);
  EXPECT_EQ(client.post("/v1/spec", R"({"files":{}})", type).status, 400);
}

}  // namespace
}  // namespace fettle::api
