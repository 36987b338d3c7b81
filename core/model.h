// The typed model of a spec: what the YAML means once it was validated, with every default filled
// in. `spec` makes it, the log carries it, the engine applies it; nobody else parses YAML.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "core/time.h"
#include "core/words.h"

namespace fettle::core {

using Option = std::variant<bool, std::int64_t, std::string, Duration, std::vector<std::string>>;
/// Options of a kind, checked against its KindSpec, defaults filled in.
using Options = std::map<std::string, Option>;

/// The text option `name`, or empty.
std::string text_option(const Options& options, const std::string& name);
/// The integer option `name`, or `otherwise`.
std::int64_t integer_option(const Options& options, const std::string& name,
                            std::int64_t otherwise);
/// The list option `name`; a single text counts as a list of one.
std::vector<std::string> list_option(const Options& options, const std::string& name);

struct Address {
  std::string host;  // a name, an IPv4 or (without brackets) an IPv6 address
  std::uint16_t port = 0;
  friend auto operator<=>(const Address&, const Address&) = default;
};
/// `10.0.0.1:80`, `[::1]:80`.
std::string to_string(const Address& address);

struct RetryPolicy {
  std::uint32_t count = 0;  // further attempts after the first
  Duration delay{0};
  std::uint32_t backoff_permille = 1000;  // each delay is the one before times this / 1000
  friend bool operator==(const RetryPolicy&, const RetryPolicy&) = default;
};
/// The pause before attempt `attempt + 1` when `attempt` (from 1) failed; capped at one hour.
Duration retry_delay(const RetryPolicy& retry, std::uint32_t attempt);

struct ProbeSpec {
  std::string name;
  std::string kind;
  FaultClass fault_class = FaultClass::Service;
  Affects affects = Affects::Down;
  Duration interval{0};
  Duration timeout{0};
  std::uint32_t fall = 3;
  std::uint32_t rise = 2;
  Duration start_period{0};
  Options options;
  friend bool operator==(const ProbeSpec&, const ProbeSpec&) = default;
};

struct NodeSpec {
  std::string name;  // unique in the whole spec
  Address address;
  std::string host;  // the member on the node's machine, or empty
  std::string zone;
  std::string server;  // its name at the director; default: name
  std::string unit;
  NodeRole role = NodeRole::Active;
  friend bool operator==(const NodeSpec&, const NodeSpec&) = default;
};

struct TrafficSpec {
  std::string kind;  // a director kind; empty: the service is watched and alerted only
  std::vector<std::string>
      hosts;        // members that own the directors; empty: all whose allow holds it
  Options options;  // of the director kind: socket, backend, ...
  friend bool operator==(const TrafficSpec&, const TrafficSpec&) = default;
};

struct ServiceSpec {
  std::string name;
  std::string engine;  // the profile
  std::vector<NodeSpec> nodes;
  std::vector<ProbeSpec> probes;  // never empty: the profile's if none were given
  TrafficSpec traffic;
  std::uint32_t min_healthy = 1;
  std::uint32_t max_isolated = 1;
  std::uint32_t observers = 0;  // 0: min(3, live members)
  Duration confirm_gap{std::chrono::milliseconds(25)};
  bool builtin = true;
};

struct TriggerSpec {
  Verdict verdict = Verdict::Down;
  std::vector<std::string> services;  // empty: every service
};

struct StepSpec {
  std::string id;
  std::string action;
  Options input;
  std::string on;  // the member that acts; empty: the node's host, for kinds that run on a member
  Duration timeout{std::chrono::seconds(30)};
  RetryPolicy retry;
  OnFailure on_failure = OnFailure::Escalate;
};

struct PlaybookSpec {
  std::string name;
  Mode mode = Mode::Observe;
  std::int32_t priority = 0;
  TriggerSpec trigger;
  std::vector<StepSpec> steps;
  std::string file;  // where it stands: order among equal priorities is file, then position
  std::uint32_t position = 0;
};

struct ReceiverSpec {
  std::string name;
  std::string kind;
  Options options;
  RetryPolicy retry{.count = 8, .delay = std::chrono::seconds(1), .backoff_permille = 2000};
};

struct SourceFile {
  std::string name;
  std::string text;
};

struct Spec {
  std::vector<SourceFile> sources;  // as applied, for `fettle spec` and the next diff
  std::vector<ServiceSpec> services;
  std::vector<PlaybookSpec> playbooks;
  std::vector<ReceiverSpec> receivers;
  std::string route_receiver;  // empty: alerts are journaled only
};

template <typename Archive>
void fields(Archive& ar, Address& v) {
  ar(v.host, v.port);
}
template <typename Archive>
void fields(Archive& ar, RetryPolicy& v) {
  ar(v.count, v.delay, v.backoff_permille);
}
template <typename Archive>
void fields(Archive& ar, ProbeSpec& v) {
  ar(v.name, v.kind, v.fault_class, v.affects, v.interval, v.timeout, v.fall, v.rise,
     v.start_period, v.options);
}
template <typename Archive>
void fields(Archive& ar, NodeSpec& v) {
  ar(v.name, v.address, v.host, v.zone, v.server, v.unit, v.role);
}
template <typename Archive>
void fields(Archive& ar, TrafficSpec& v) {
  ar(v.kind, v.hosts, v.options);
}
template <typename Archive>
void fields(Archive& ar, ServiceSpec& v) {
  ar(v.name, v.engine, v.nodes, v.probes, v.traffic, v.min_healthy, v.max_isolated, v.observers,
     v.confirm_gap, v.builtin);
}
template <typename Archive>
void fields(Archive& ar, TriggerSpec& v) {
  ar(v.verdict, v.services);
}
template <typename Archive>
void fields(Archive& ar, StepSpec& v) {
  ar(v.id, v.action, v.input, v.on, v.timeout, v.retry, v.on_failure);
}
template <typename Archive>
void fields(Archive& ar, PlaybookSpec& v) {
  ar(v.name, v.mode, v.priority, v.trigger, v.steps, v.file, v.position);
}
template <typename Archive>
void fields(Archive& ar, ReceiverSpec& v) {
  ar(v.name, v.kind, v.options, v.retry);
}
template <typename Archive>
void fields(Archive& ar, SourceFile& v) {
  ar(v.name, v.text);
}
template <typename Archive>
void fields(Archive& ar, Spec& v) {
  ar(v.sources, v.services, v.playbooks, v.receivers, v.route_receiver);
}

}  // namespace fettle::core
