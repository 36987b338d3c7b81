// Stories of views: what the API shows is what the contract says, key for key.
#include "api/views.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/api/example_state.h"

namespace fettle::api {
namespace {

using nlohmann::ordered_json;

std::vector<std::string> keys_of(const ordered_json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

/// `whole` without the keys that `wanted` does not have, at every depth.
ordered_json only(const ordered_json& wanted, const ordered_json& whole) {
  if (wanted.is_array() && whole.is_array()) {
    ordered_json list = ordered_json::array();
    for (std::size_t i = 0; i < whole.size(); ++i) {
      list.push_back(i < wanted.size() ? only(wanted[i], whole[i]) : whole[i]);
    }
    return list;
  }
  if (!wanted.is_object() || !whole.is_object()) return whole;
  ordered_json object = ordered_json::object();
  for (const auto& [key, value] : whole.items()) {
    if (wanted.contains(key)) object[key] = only(wanted[key], value);
  }
  return object;
}

std::vector<std::string> first(std::vector<std::string> keys, std::size_t count) {
  keys.resize(std::min(keys.size(), count));
  return keys;
}

TEST(Views, StatusIsTheDocumentedObjectInItsOrder) {
  const std::string documented =
      R"({"cluster":{"name":"llm-prod","generation":1,"term":7,"leader":"gpu2",)"
      R"("commit_index":1042,"level":1,)"
      R"("members":[{"name":"gpu1","role":"voter","zone":"az1","state":"follower",)"
      R"("rtt_ms":0.4,"version":"0.1.0"}]},)"
      R"("services":[{"name":"chat","verdict":"degraded","healthy":1,"total":2,)"
      R"("nodes":[{"name":"chat-a","address":"10.0.0.11:8000","role":"active","verdict":"down",)"
      R"("admin":"isolated",)"
      R"("reason":"2 of 3 observers: refused","since":"2026-01-01T00:00:00.000Z"},)"
      R"({"name":"chat-b","address":"10.0.0.12:8000","role":"active","verdict":"healthy",)"
      R"("admin":"in_service",)"
      R"("reason":"","since":"2026-01-01T00:00:00.000Z"}]}],)"
      R"("open_incidents":1,"revision":3,"frozen":false})";
  const ordered_json shown = status_view(example_snapshot());
  EXPECT_EQ(dump(only(ordered_json::parse(documented), shown)), documented);
}

TEST(Views, MembersTellHowFarAMajorityIsAndTheTimeouts) {
  Snapshot snapshot = example_snapshot();
  snapshot.group.election_timeout = std::chrono::milliseconds(800);
  snapshot.group.heartbeat = std::chrono::milliseconds(60);
  const ordered_json unknown = group_view(snapshot);
  EXPECT_EQ(keys_of(unknown),
            (std::vector<std::string>{"members", "leader", "quorum_rtt_ms", "timing"}));
  EXPECT_TRUE(unknown["quorum_rtt_ms"].is_null());
  EXPECT_EQ(dump(unknown["timing"]),
            R"({"election_timeout_ms":800,"heartbeat_ms":60,"from":"measured"})");
  snapshot.group.quorum_rtt_ms = 30.5;
  snapshot.group.timing_set = true;
  EXPECT_EQ(group_view(snapshot)["quorum_rtt_ms"], 30.5);
  EXPECT_EQ(group_view(snapshot)["timing"]["from"], "file");
}

TEST(Views, ResolvedIncidentsAreNotOpen) {
  Snapshot snapshot = example_snapshot();
  core::State state = *snapshot.state;
  state.incidents.at(IncidentId{17}).resolved_at = kExampleTime;
  snapshot.state = std::make_shared<core::State>(state);
  EXPECT_EQ(status_view(snapshot)["open_incidents"], 0);
}

TEST(Views, AFreezeIsShownWithItsEndAndReason) {
  Snapshot snapshot = example_snapshot();
  core::State state = *snapshot.state;
  state.freezes.push_back({"chat", {}, kExampleTime, "root", "patching"});
  snapshot.state = std::make_shared<core::State>(state);
  const ordered_json shown = status_view(snapshot);
  EXPECT_EQ(shown["frozen"], true);
  EXPECT_EQ(
      dump(shown["freezes"]),
      R"([{"service":"chat","until":"2026-01-01T00:00:00.000Z","by":"root","reason":"patching"}])");
}

TEST(Views, NoLeaderAndAnUnknownRoundTripAreNull) {
  Snapshot snapshot = example_snapshot();
  snapshot.group.leader.clear();
  snapshot.group.members[0].rtt_ms.reset();
  const ordered_json shown = status_view(snapshot);
  EXPECT_TRUE(shown["cluster"]["leader"].is_null());
  EXPECT_TRUE(shown["cluster"]["members"][0]["rtt_ms"].is_null());
}

TEST(Views, AnIncidentHasTheDocumentedKeys) {
  const ordered_json shown = incident_view(example_incident());
  EXPECT_EQ(keys_of(shown), (std::vector<std::string>{"id", "service", "node", "class", "verdict",
                                                      "reason", "blocked_by", "votes", "fault_at",
                                                      "detected_at", "isolated_at", "resolved_at",
                                                      "mttd_ms", "mttr_ms", "runs", "timeline"}));
  EXPECT_EQ(keys_of(shown["votes"][0]),
            (std::vector<std::string>{"observer", "opinion", "outcome", "age_ms"}));
  EXPECT_EQ(keys_of(shown["timeline"][0]),
            (std::vector<std::string>{"at", "index", "what", "reason"}));
  EXPECT_EQ(shown["isolated_at"], "2026-01-01T00:00:00.020Z");
  EXPECT_TRUE(shown["resolved_at"].is_null());
  EXPECT_TRUE(shown["mttr_ms"].is_null());
  EXPECT_EQ(dump(shown["runs"]), "[5]");
}

TEST(Views, ARunHasTheDocumentedKeys) {
  const ordered_json shown = run_view(example_run());
  EXPECT_EQ(first(keys_of(shown), 8),
            (std::vector<std::string>{"id", "playbook", "incident", "mode", "state", "step",
                                      "fence", "steps"}));
  EXPECT_EQ(dump(shown["fence"]), R"({"generation":1,"term":7,"index":1041})");
  EXPECT_EQ(keys_of(shown["steps"][0]),
            (std::vector<std::string>{"id", "action", "state", "attempt", "tasks", "started_at",
                                      "finished_at", "reason"}));
  EXPECT_EQ(keys_of(shown["steps"][0]["tasks"][0]),
            (std::vector<std::string>{"host", "state", "result"}));
  EXPECT_EQ(shown["step"], "switch");
}

TEST(Views, ARunWaitsWhileItsStepWaits) {
  core::Run run = example_run();
  EXPECT_EQ(run_view(run)["state"], "running");
  run.steps[run.step].state = core::StepState::Waiting;
  EXPECT_EQ(run_view(run)["state"], "waiting");
  run.state = core::RunState::Cancelled;
  EXPECT_EQ(run_view(run)["state"], "cancelled");
}

TEST(Views, TheWebhookBodyIsTheDocumentedOne) {
  core::Alert alert;
  alert.key = "llm-prod/17/firing/0";
  alert.incident = IncidentId{17};
  alert.text = "chat-a is down: 2 of 3 observers: refused";
  alert.runs = {RunId{5}, RunId{404}};
  const auto body = ordered_json::parse(
      webhook_body(example_state(), alert, kExampleTime, [](Index) { return Term{9}; }));
  EXPECT_EQ(keys_of(body),
            (std::vector<std::string>{"version", "key", "status", "severity", "cluster",
                                      "incidents", "runs", "text", "sent_at"}));
  EXPECT_EQ(body["version"], 1);
  EXPECT_EQ(body["status"], "firing");
  EXPECT_EQ(body["incidents"].size(), 1U);
  EXPECT_EQ(body["runs"][0]["fence"]["term"], 9);
  EXPECT_EQ(body["runs"].size(), 1U) << "a run that is no longer kept is left out";
}

TEST(Views, AnEventLeavesOutWhatItHasNot) {
  EXPECT_EQ(
      dump(event_view(example_event(9, 2))),
      R"({"id":"9.2","at":"2026-01-01T00:00:00.000Z","kind":"verdict.changed","service":"chat",)"
      R"("node":"chat-a","value":"down"})");
}

TEST(Views, BytesThatAreNoUtf8AreReplaced) {
  const std::string text = dump(event_view(example_event(1, 0, "body: \xff\xfe")));
  EXPECT_NE(text.find("body: \xEF\xBF\xBD"), std::string::npos);
}

}  // namespace
}  // namespace fettle::api
