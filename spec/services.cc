#include <algorithm>

#include "spec/sections.h"
#include "spec/text.h"

namespace fettle::spec {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const std::vector<std::string> kEngines{"generic", "vllm",     "sglang", "triton",
                                        "tgi",     "llamacpp", "ollama"};
const std::vector<std::string> kLaterProbes{"inference", "director", "grpc",   "process", "gpu",
                                            "system",    "metrics",  "engine", "exec"};
const std::vector<std::string> kLaterDirectors{"nginx", "nftables", "address", "etcd"};
constexpr std::string_view kServerName =
    "a name at the director: letters, digits, '.', '_', '-' and ':'";
constexpr std::uint32_t kNodesMax = 1000;

void parse_node(Section& section, core::ServiceSpec& service, const Value& item,
                const std::string& path) {
  Reader reader(section.report, item, path);
  core::NodeSpec node;
  node.name = take_name(section, reader, section.names.nodes);
  const Value* address = reader.need("address", "host:port");
  if (address != nullptr) {
    if (const auto parsed = parse_address(address->text)) {
      node.address = *parsed;
    } else {
      reader.wrong(*address, "address", address->describe() + " is no address",
                   "host:port, the port from 1 to 65535");
    }
  }
  if (const auto host = reader.text("host")) {
    node.host = *host;
    if (!is_name(*host)) {
      reader.wrong(*reader.take("host"), "host", "'" + shown(*host) + "' is no name", "a member");
    }
  }
  node.zone = reader.text_or("zone", "");
  node.server = reader.text_or("server", node.name);
  if (const Value* server = reader.take("server");
      server != nullptr && !is_server_name(node.server)) {
    reader.wrong(*server, "server", server->describe() + " does not fit", std::string(kServerName));
  }
  reader.word_or("role", "active", {"active"}, {"standby"});
  reader.later({"unit", "ports", "parts"});
  service.nodes.push_back(std::move(node));
}

void parse_probe(Section& section, core::ServiceSpec& service,
                 std::map<std::string, std::string>& taken, const Value& item,
                 const std::string& path) {
  Reader reader(section.report, item, path);
  core::ProbeSpec probe;
  probe.name = take_name(section, reader, taken);
  const core::KindSpec* kind = take_kind(reader, probe_kinds(), kLaterProbes, "kind");
  if (kind == nullptr) return reader.take_rest();
  probe.kind = kind->name;
  probe.fault_class = kind->fault_class;
  const std::string fault_class =
      reader.word_or("class", std::string(to_string(kind->fault_class)),
                     {"reachability", "service", "progress", "quality", "hardware"});
  probe.fault_class = core::fault_class_from(fault_class).value_or(kind->fault_class);
  const std::string affects = reader.word_or("affects", std::string(to_string(kind->affects)),
                                             {"down", "degraded", "none"});
  probe.affects = affects == "down"       ? core::Affects::Down
                  : affects == "degraded" ? core::Affects::Degraded
                                          : core::Affects::None;
  probe.interval = reader.duration_or("interval", seconds(2), milliseconds(10), hours(24));
  probe.timeout = reader.duration_or("timeout", seconds(5), milliseconds(10), hours(1));
  probe.fall = reader.number_or("fall", 3, 1, 100);
  probe.rise = reader.number_or("rise", 2, 1, 100);
  probe.start_period =
      reader.duration_or("start_period", core::Duration{0}, core::Duration{0}, hours(24));
  reader.later({"pass", "warn", "request", "outlier"});
  probe.options = reader.options(*kind);
  service.probes.push_back(std::move(probe));
}

void parse_traffic(Section& section, core::ServiceSpec& service, const Value& value,
                   const std::string& path) {
  Reader reader(section.report, value, path);
  const core::KindSpec* kind = take_kind(reader, director_kinds(), kLaterDirectors, "kind");
  if (kind == nullptr) return reader.take_rest();
  service.traffic.kind = kind->name;
  service.traffic.hosts = reader.texts_that("hosts", is_name, "the name of a member");
  reader.later({"drain_timeout"});
  service.traffic.options = reader.options(*kind);
  if (service.traffic.options.contains("backend")) {
    reader.texts_that("backend", is_server_name, std::string(kServerName));
  }
}

}  // namespace

std::vector<core::ProbeSpec> profile_probes(const std::string& engine) {
  core::ProbeSpec live;
  live.name = "live";
  live.kind = "http";
  live.fault_class = core::FaultClass::Service;
  live.affects = core::Affects::Down;
  live.interval = seconds(2);
  live.timeout = seconds(5);
  live.fall = 3;
  live.rise = 2;
  live.start_period =
      engine == "generic" ? core::Duration(seconds(30)) : core::Duration(minutes(15));
  live.options["path"] = std::string(engine == "triton"   ? "/v2/health/live"
                                     : engine == "ollama" ? "/api/version"
                                                          : "/health");
  live.options["expect_status"] = std::string("200-299");
  core::ProbeSpec port;
  port.name = "port";
  port.kind = "tcp";
  port.fault_class = core::FaultClass::Reachability;
  port.affects = core::Affects::Down;
  port.interval = milliseconds(500);
  port.timeout = seconds(2);
  port.fall = 2;
  port.rise = 2;
  return {live, port};
}

void parse_service(Section& section, const Value& item, const std::string& path) {
  Reader reader(section.report, item, path);
  core::ServiceSpec service;
  service.name = take_name(section, reader, section.names.services);
  service.engine = reader.word_or("engine", "generic", kEngines);
  const bool discovers = reader.has("discover");
  if (!discovers) need_some(reader, "nodes", "the service's nodes");
  reader.each("nodes", [&](const Value& node, const std::string& at) {
    parse_node(section, service, node, at);
  });
  if (service.nodes.size() > kNodesMax) {
    section.report.add(item.place, path + ".nodes",
                       "more than " + std::to_string(kNodesMax) + " nodes");
  }
  service.min_healthy = reader.number_or("min_healthy", 1, 0, kNodesMax);
  service.max_isolated = reader.number_or("max_isolated", 1, 0, kNodesMax);
  service.observers = reader.number_or("observers", 0, 1, 7);
  service.confirm_gap =
      reader.duration_or("confirm_gap", milliseconds(25), milliseconds(1), seconds(60));
  service.builtin = reader.flag_or("builtin", true);
  std::map<std::string, std::string> probe_names;
  reader.each("probes", [&](const Value& probe, const std::string& at) {
    parse_probe(section, service, probe_names, probe, at);
  });
  if (service.probes.empty()) service.probes = profile_probes(service.engine);
  if (const Value* traffic = reader.take("traffic"); traffic != nullptr) {
    parse_traffic(section, service, *traffic, path + ".traffic");
  }
  reader.later({"model", "auth", "tls", "headers", "max_isolated_percent", "slo", "capacity",
                "failback", "slow_start", "isolate_last", "discover"});
  section.spec.services.push_back(std::move(service));
}

}  // namespace fettle::spec
