// Stories of the spec language: the smallest file and its defaults, the whole language, what this
// version cannot do yet, and what several files mean together.
#include <gtest/gtest.h>

#include "tests/spec/spec_files.h"

namespace fettle::spec {
namespace {

using core::Affects;
using core::FaultClass;
using core::Mode;
using core::OnFailure;
using core::Verdict;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

core::Spec smallest() {
  Parsed parsed = parse({data_file("smallest_spec.yaml")}, Strictness::Apply);
  EXPECT_TRUE(parsed.spec) << told(parsed.diagnostics);
  return parsed.spec.value_or(core::Spec{});
}

/// A spec of one service with one node, and `more` lines behind it.
std::string one_service(const std::string& more) {
  return "version: 1\nservices:\n  - name: chat\n    nodes: [{name: chat-a, address: "
         "10.0.0.11:8000}]\n" +
         more;
}

core::Spec applied(const std::string& text) {
  Parsed parsed = parse_text(text);
  EXPECT_TRUE(parsed.spec) << told(parsed.diagnostics);
  return parsed.spec.value_or(core::Spec{});
}

TEST(SmallestSpec, SaysWhatItSays) {
  const core::Spec spec = smallest();
  ASSERT_EQ(spec.services.size(), 1U);
  const core::ServiceSpec& chat = spec.services[0];
  EXPECT_EQ(chat.name, "chat");
  EXPECT_EQ(chat.engine, "vllm");
  ASSERT_EQ(chat.nodes.size(), 2U);
  EXPECT_EQ(chat.nodes[0].name, "chat-a");
  EXPECT_EQ(chat.nodes[0].address, (core::Address{"10.0.0.11", 8000}));
  EXPECT_EQ(chat.nodes[1].name, "chat-b");
  EXPECT_EQ(chat.nodes[1].address, (core::Address{"10.0.0.12", 8000}));
  EXPECT_EQ(chat.traffic.kind, "haproxy");
  EXPECT_EQ(core::text_option(chat.traffic.options, "socket"), "/run/haproxy/admin.sock");
  EXPECT_EQ(core::list_option(chat.traffic.options, "backend"),
            std::vector<std::string>{"be_chat"});
  ASSERT_EQ(spec.receivers.size(), 1U);
  EXPECT_EQ(spec.receivers[0].name, "oncall");
  EXPECT_EQ(spec.receivers[0].kind, "webhook");
  EXPECT_EQ(core::text_option(spec.receivers[0].options, "url"), "http://127.0.0.1:9099/hook");
  EXPECT_EQ(spec.route_receiver, "oncall");
}

TEST(SmallestSpec, HasTheDocumentedDefaultsOfAService) {
  const core::ServiceSpec chat = smallest().services.at(0);
  EXPECT_EQ(chat.min_healthy, 1U);
  EXPECT_EQ(chat.max_isolated, 1U);
  EXPECT_EQ(chat.observers, 0U) << "0 stands for min(3, live members)";
  EXPECT_EQ(chat.confirm_gap, milliseconds(25));
  EXPECT_TRUE(chat.builtin);
  EXPECT_TRUE(chat.traffic.hosts.empty()) << "every member whose allow holds the socket";
  EXPECT_EQ(chat.nodes.at(0).server, "chat-a") << "the server's name is the node's";
  EXPECT_EQ(chat.nodes.at(0).role, core::NodeRole::Active);
}

TEST(SmallestSpec, HasTheProbesOfItsProfile) {
  const core::ServiceSpec chat = smallest().services.at(0);
  ASSERT_EQ(chat.probes.size(), 2U);
  const core::ProbeSpec& live = chat.probes[0];
  EXPECT_EQ(live.name, "live");
  EXPECT_EQ(live.kind, "http");
  EXPECT_EQ(core::text_option(live.options, "path"), "/health");
  EXPECT_EQ(live.interval, seconds(2));
  EXPECT_EQ(live.timeout, seconds(5));
  EXPECT_EQ(live.fall, 3U);
  EXPECT_EQ(live.rise, 2U);
  EXPECT_EQ(live.start_period, minutes(15));
  EXPECT_EQ(live.fault_class, FaultClass::Service);
  EXPECT_EQ(live.affects, Affects::Down);
  const core::ProbeSpec& port = chat.probes[1];
  EXPECT_EQ(port.name, "port");
  EXPECT_EQ(port.kind, "tcp");
  EXPECT_EQ(port.interval, milliseconds(500));
  EXPECT_EQ(port.timeout, seconds(2));
  EXPECT_EQ(port.fall, 2U);
  EXPECT_EQ(port.rise, 2U);
  EXPECT_EQ(port.fault_class, FaultClass::Reachability);
  EXPECT_EQ(port.affects, Affects::Down);
}

TEST(SmallestSpec, HasTheDocumentedDefaultsOfAReceiver) {
  const core::RetryPolicy retry = smallest().receivers.at(0).retry;
  EXPECT_EQ(retry, (core::RetryPolicy{.count = 8, .delay = seconds(1), .backoff_permille = 2000}));
}

TEST(SmallestSpec, KeepsItsSourceAsItWasWritten) {
  const core::Spec spec = smallest();
  ASSERT_EQ(spec.sources.size(), 1U);
  EXPECT_EQ(spec.sources[0].name, "smallest_spec.yaml");
  EXPECT_EQ(spec.sources[0].text, data_file("smallest_spec.yaml").text);
}

TEST(Profiles, AGenericServiceStartsInHalfAMinute) {
  const core::ServiceSpec chat = applied(one_service("")).services.at(0);
  EXPECT_EQ(chat.engine, "generic");
  ASSERT_EQ(chat.probes.size(), 2U);
  EXPECT_EQ(chat.probes[0].start_period, seconds(30));
  EXPECT_EQ(core::text_option(chat.probes[0].options, "path"), "/health");
}

TEST(Profiles, EachEngineIsAskedWhereItAnswers) {
  const auto path = [](const std::string& engine) {
    return core::text_option(profile_probes(engine).at(0).options, "path");
  };
  EXPECT_EQ(path("vllm"), "/health");
  EXPECT_EQ(path("triton"), "/v2/health/live");
  EXPECT_EQ(path("ollama"), "/api/version");
}

TEST(Probes, TheServicesOwnReplaceThoseOfTheProfile) {
  const core::Spec spec = applied(one_service(
      "    probes:\n"
      "      - {name: ready, kind: http, path: /ready, expect_status: 200-204, interval: 250ms,\n"
      "         timeout: 1s, fall: 4, rise: 1, start_period: 2h, class: quality, affects: "
      "degraded}\n"
      "      - {name: port, kind: tcp}\n"));
  ASSERT_EQ(spec.services.at(0).probes.size(), 2U);
  const core::ProbeSpec& ready = spec.services[0].probes[0];
  EXPECT_EQ(core::text_option(ready.options, "path"), "/ready");
  EXPECT_EQ(core::text_option(ready.options, "expect_status"), "200-204");
  EXPECT_EQ(ready.interval, milliseconds(250));
  EXPECT_EQ(ready.timeout, seconds(1));
  EXPECT_EQ(ready.fall, 4U);
  EXPECT_EQ(ready.rise, 1U);
  EXPECT_EQ(ready.start_period, std::chrono::hours(2));
  EXPECT_EQ(ready.fault_class, FaultClass::Quality);
  EXPECT_EQ(ready.affects, Affects::Degraded);
  EXPECT_EQ(spec.services[0].probes[1].fault_class, FaultClass::Reachability) << "the kind's own";
}

TEST(Playbooks, HaveTheDocumentedDefaults) {
  const core::Spec spec = applied(one_service(
      "playbooks:\n"
      "  - {name: out, trigger: {verdict: down}, steps: [{id: out, action: traffic.isolate}]}\n"));
  ASSERT_EQ(spec.playbooks.size(), 1U);
  const core::PlaybookSpec& playbook = spec.playbooks[0];
  EXPECT_EQ(playbook.mode, Mode::Observe);
  EXPECT_EQ(playbook.priority, 0);
  EXPECT_TRUE(playbook.trigger.services.empty());
  ASSERT_EQ(playbook.steps.size(), 1U);
  EXPECT_EQ(playbook.steps[0].timeout, seconds(30));
  EXPECT_EQ(playbook.steps[0].retry, core::RetryPolicy{});
  EXPECT_EQ(playbook.steps[0].on_failure, OnFailure::Escalate);
}

TEST(Playbooks, SayInOrderWhatIsToBeDone) {
  const core::Spec spec = applied(one_service(
      "playbooks:\n"
      "  - name: replace\n"
      "    mode: enforce\n"
      "    priority: 7\n"
      "    trigger: {verdict: degraded, services: [chat]}\n"
      "    steps:\n"
      "      - {id: out, action: traffic.isolate, timeout: 5s,\n"
      "         retry: {count: 2, delay: 200ms, backoff: 1.5}, on_failure: abort}\n"
      "      - id: tell\n"
      "        action: notify.send\n"
      "        input: {receiver: oncall, severity: warning, text: \"${node.name}: "
      "${incident.reason}\"}\n"
      "        on_failure: continue\n"
      "      - {id: back, action: wait.healthy, timeout: 10m}\n"
      "      - {id: in, action: traffic.restore}\n"
      "receivers: [{name: oncall, kind: webhook, url_secret: hook_url, sign_secret: hook_key}]\n"));
  const core::PlaybookSpec& replace = spec.playbooks.at(0);
  EXPECT_EQ(replace.mode, Mode::Enforce);
  EXPECT_EQ(replace.priority, 7);
  EXPECT_EQ(replace.trigger.verdict, Verdict::Degraded);
  EXPECT_EQ(replace.trigger.services, std::vector<std::string>{"chat"});
  ASSERT_EQ(replace.steps.size(), 4U);
  EXPECT_EQ(replace.steps[0].retry,
            (core::RetryPolicy{.count = 2, .delay = milliseconds(200), .backoff_permille = 1500}));
  EXPECT_EQ(replace.steps[0].on_failure, OnFailure::Abort);
  EXPECT_EQ(core::text_option(replace.steps[1].input, "severity"), "warning");
  EXPECT_EQ(core::text_option(replace.steps[1].input, "text"), "${node.name}: ${incident.reason}");
  EXPECT_EQ(replace.steps[2].timeout, minutes(10));
  EXPECT_EQ(replace.steps[3].action, "traffic.restore");
  EXPECT_EQ(core::text_option(spec.receivers.at(0).options, "sign_secret"), "hook_key");
}

TEST(Addresses, MayBeNamesIPv4AndIPv6) {
  EXPECT_EQ(parse_address("gpu-1.rack_2.local:80"), (core::Address{"gpu-1.rack_2.local", 80}));
  EXPECT_EQ(parse_address("10.0.0.1:65535"), (core::Address{"10.0.0.1", 65535}));
  EXPECT_EQ(parse_address("[fe80::1%eth0]:1"), (core::Address{"fe80::1%eth0", 1}));
  for (const char* wrong :
       {"", ":", "a", "a:", ":1", "a:0", "a:65536", "a:-1", "a:+1", "a:1 ", " a:1", "a b:1",
        "::1:80", "[]:1", "[::1]", "a/b:1", "a\r\nb:1", "a\tb:1", "user@a:1"}) {
    EXPECT_FALSE(parse_address(wrong)) << '\'' << wrong << '\'';
  }
}

TEST(Durations, CarryTheirUnit) {
  EXPECT_EQ(parse_duration("250ms"), milliseconds(250));
  EXPECT_EQ(parse_duration("0s"), seconds(0));
  EXPECT_EQ(parse_duration("5m"), minutes(5));
  EXPECT_EQ(parse_duration("2h"), std::chrono::hours(2));
  EXPECT_EQ(parse_duration("30d"), std::chrono::hours(720));
  for (const char* wrong : {"", "s", "5", "5 s", " 5s", "5S", "5sec", "1.5s", "-1s", "+1s", "1s2ms",
                            "1e3s", "99999999999999999999s", "1000000001s", "36501d"}) {
    EXPECT_FALSE(parse_duration(wrong)) << '\'' << wrong << '\'';
  }
}

TEST(WholeSpec, IsOfTheLanguage) {
  const Parsed parsed = parse({data_file("whole_spec.yaml")}, Strictness::Syntax);
  EXPECT_EQ(told(parsed.diagnostics), "");
  EXPECT_TRUE(parsed.spec);
}

TEST(WholeSpec, IsToldKeyByKeyWhatIsNotSupportedYet) {
  const Parsed parsed = parse({data_file("whole_spec.yaml")}, Strictness::Apply);
  EXPECT_FALSE(parsed.spec);
  const std::vector<std::string> later{"5:5: services[0].model",
                                       "6:5: services[0].auth",
                                       "8:72: services[0].nodes[0].unit",
                                       "9:72: services[0].nodes[1].unit",
                                       "9:97: services[0].nodes[1].ports",
                                       "12:15: services[0].nodes[2].role: standby",
                                       "13:9: services[0].nodes[2].parts",
                                       "23:15: services[0].probes[2].kind: inference",
                                       "29:31: services[0].probes[3].kind: director",
                                       "35:7: services[0].traffic.drain_timeout",
                                       "36:5: services[0].slo",
                                       "42:5: playbooks[0].conditions",
                                       "43:5: playbooks[0].throttle",
                                       "44:5: playbooks[0].concurrency",
                                       "45:5: playbooks[0].limits",
                                       "49:31: playbooks[0].steps[2].action: service.promote",
                                       "49:48: playbooks[0].steps[2].if",
                                       "50:28: playbooks[0].steps[3].action: unit.restart",
                                       "53:5: playbooks[0].verify",
                                       "54:5: playbooks[0].on_failure",
                                       "61:27: route.group_by",
                                       "61:48: route.group_wait",
                                       "61:64: route.repeat_interval",
                                       "61:85: route.inhibit",
                                       "62:1: deadman",
                                       "63:1: maintenance"};
  std::string expected;
  for (const std::string& one : later)
    expected += "whole_spec.yaml:" + one + ": not supported yet\n";
  EXPECT_EQ(told(parsed.diagnostics), expected);
}

TEST(LaterWords, AreOfTheLanguageEverywhere) {
  const Parsed parsed = parse_text(
      one_service(
          "    discover: {kind: dns, path: chat.internal, max_nodes: 9, keep: 5m}\n"
          "    capacity: {max_load: 80%, load: 'service.load'}\n"
          "    failback: swap\n"
          "    slow_start: 30s\n"
          "    isolate_last: [quality]\n"
          "    max_isolated_percent: 34%\n"
          "    tls: {ca: /ca.pem}\n"
          "    headers: {X-Team: llm}\n"
          "  - {name: found, discover: {kind: file, path: /etc/nodes}}\n"
          "playbooks:\n"
          "  - name: later\n"
          "    mode: approve\n"
          "    trigger: {verdict: manual, class: [progress], reason: [wrong_model], for: 10s}\n"
          "    steps:\n"
          "      - {id: a, action: traffic.isolate, on: gpu1, compensate: {action: "
          "traffic.restore},\n"
          "         on_failure: rollback}\n"
          "      - {id: b, action: exec.run, on: gpu1, input: {command: "
          "[/usr/local/lib/fettle/x]}}\n"
          "      - {id: c, parallel: [{id: d, action: wait.healthy}], on_failure: pause}\n"
          "receivers: [{name: mail, kind: email, to: a@example.com}]\n"
          "route: {receiver: mail}\n"),
      Strictness::Syntax);
  EXPECT_EQ(told(parsed.diagnostics), "");
}

TEST(AStepThatRunsAProgram, ActsAtTheNodesHostOrWhereItSays) {
  const core::Spec spec = applied(
      "version: 1\nservices:\n  - name: chat\n    nodes: [{name: a, address: a:1, host: gpu1}]\n"
      "  - {name: other, nodes: [{name: b, address: b:1}]}\n"
      "playbooks:\n  - name: heal\n    trigger: {verdict: down, services: [chat]}\n    steps:\n"
      "      - {id: a, action: exec.run, input: {command: [/lib/heal, \"${node.name}\", \"\"]}}\n"
      "      - {id: b, action: exec.run, on: gpu2, input: {command: [/lib/heal]}}\n");
  ASSERT_EQ(spec.playbooks.size(), 1U);
  const auto& steps = spec.playbooks[0].steps;
  EXPECT_EQ(core::list_option(steps[0].input, "command"),
            (std::vector<std::string>{"/lib/heal", "${node.name}", ""}));
  EXPECT_EQ(steps[0].on, "");
  EXPECT_EQ(steps[1].on, "gpu2");
}

TEST(AStepThatRunsAProgram, NeedsAHostAtEveryNodeOfEveryServiceItMayTake) {
  const Parsed parsed = parse(
      {{"10.yaml",
        "version: 1\nplaybooks:\n  - name: heal\n    trigger: {verdict: down}\n    steps:\n"
        "      - {id: a, action: exec.run, input: {command: [/lib/heal]}}\n"},
       {"20.yaml", "version: 1\nservices: [{name: chat, nodes: [{name: a, address: a:1}]}]\n"}},
      Strictness::Apply);
  ASSERT_EQ(parsed.diagnostics.size(), 1U) << told(parsed.diagnostics);
  EXPECT_EQ(parsed.diagnostics[0].file, "10.yaml");
  EXPECT_EQ(parsed.diagnostics[0].line, 6);
  EXPECT_EQ(parsed.diagnostics[0].message, "no member to act: 'a' has no host");
}

TEST(SeveralFiles, AreOneSpec) {
  const Parsed parsed = parse(
      {{"10-services.yaml",
        "version: 1\nservices: [{name: chat, nodes: [{name: a, address: a:1}]}]\n"},
       {"20-services.yaml",
        "version: 1\nservices: [{name: talk, nodes: [{name: b, address: b:1}]}]\n"},
       {"30-playbooks.yaml",
        "version: 1\nplaybooks: [{name: out, trigger: {verdict: down, services: [talk, chat]},"
        " steps: [{id: o, action: traffic.isolate}]}]\nroute: {receiver: oncall}\n"},
       {"40-receivers.yaml",
        "version: 1\nreceivers: [{name: oncall, kind: webhook, url: http://127.0.0.1:9/}]\n"}},
      Strictness::Apply);
  ASSERT_TRUE(parsed.spec) << told(parsed.diagnostics);
  EXPECT_EQ(parsed.spec->services.size(), 2U);
  EXPECT_EQ(parsed.spec->playbooks.at(0).file, "30-playbooks.yaml");
  EXPECT_EQ(parsed.spec->route_receiver, "oncall");
  EXPECT_EQ(parsed.spec->sources.size(), 4U);
}

TEST(SeveralFiles, AreToldInTheirOrderThenFromTopToBottom) {
  const std::string bad =
      "version: 1\nservices: [{name: chat, nodes: [{name: a, address: nowhere}]}]\n";
  const Parsed parsed = parse({{"z.yaml", "version: 1\nroute: {receiver: nobody}\nzzz: 1\n"},
                               {"m.yaml", "- no\n  map: [\n"},
                               {"a.yaml", bad}},
                              Strictness::Apply);
  ASSERT_EQ(parsed.diagnostics.size(), 4U) << told(parsed.diagnostics);
  EXPECT_EQ(parsed.diagnostics[0].path, "route.receiver");
  EXPECT_EQ(parsed.diagnostics[1].path, "zzz");
  EXPECT_EQ(parsed.diagnostics[2].file, "m.yaml");
  EXPECT_EQ(parsed.diagnostics[3].path, "services[0].nodes[0].address");
  EXPECT_FALSE(parsed.spec);
}

TEST(SeveralFiles, ShareTheirNamesAndTheirRoute) {
  const std::string one =
      "version: 1\nservices: [{name: chat, nodes: [{name: a, address: a:1}]}]\n"
      "receivers: [{name: oncall, kind: webhook, url: http://127.0.0.1:9/}]\nroute: {receiver: "
      "oncall}\n";
  const Parsed parsed = parse({{"1.yaml", one}, {"2.yaml", one}}, Strictness::Apply);
  EXPECT_EQ(told(parsed.diagnostics),
            "2.yaml:2:19: services[0].name: 'chat' is taken; first in 1.yaml:2\n"
            "2.yaml:2:40: services[0].nodes[0].name: 'a' is taken; first in 1.yaml:2\n"
            "2.yaml:3:20: receivers[0].name: 'oncall' is taken; first in 1.yaml:3\n"
            "2.yaml:4:8: route: a second route; there is one for all files\n");
}

TEST(ShippedExample, IsApplied) {
  const std::string path = FETTLE_SOURCE_DIR "/etc/conf.d/chat.yaml";
  const Parsed parsed = parse({{"chat.yaml", read_whole(path)}}, Strictness::Apply);
  EXPECT_EQ(told(parsed.diagnostics), "");
  ASSERT_TRUE(parsed.spec);
  EXPECT_FALSE(parsed.spec->services.empty());
}

TEST(NoFiles, AreASpecThatWatchesNothing) {
  const Parsed parsed = parse({}, Strictness::Apply);
  ASSERT_TRUE(parsed.spec);
  EXPECT_TRUE(parsed.spec->services.empty());
}

TEST(DidYouMean, FindsASlipAndGuessesNothingElse) {
  const std::vector<std::string> words{"down", "degraded", "healthy", "vllm"};
  EXPECT_EQ(nearest("donw", words), "down");
  EXPECT_EQ(nearest("degrade", words), "degraded");
  EXPECT_EQ(nearest("vLLM", words), "vllm");
  EXPECT_EQ(nearest("sick", words), "");
  EXPECT_EQ(nearest("", words), "");
  EXPECT_EQ(nearest(std::string(10'000, 'd'), words), "");
}

}  // namespace
}  // namespace fettle::spec
