#include "core/state.h"

#include "core/applying.h"

namespace fettle::core {

const ServiceSpec* find_service(const Spec& spec, const std::string& name) {
  for (const ServiceSpec& service : spec.services) {
    if (service.name == name) return &service;
  }
  return nullptr;
}

const NodeSpec* find_node(const Spec& spec, const std::string& name) {
  for (const ServiceSpec& service : spec.services) {
    for (const NodeSpec& node : service.nodes) {
      if (node.name == name) return &node;
    }
  }
  return nullptr;
}

std::uint64_t watch_revision_of(const State& state, const std::string& node,
                                const std::string& observer) {
  const auto joined = state.joined.find(node);
  if (joined != state.joined.end()) {
    const auto since = joined->second.find(observer);
    if (since != joined->second.end()) return since->second;
  }
  const auto found = state.nodes.find(node);
  return found == state.nodes.end() ? 0 : found->second.watch_revision;
}

Verdict service_verdict(const State& state, const std::string& service) {
  std::size_t total = 0;
  std::size_t healthy = 0;
  std::size_t bad = 0;
  std::size_t down = 0;
  for (const auto& [name, node] : state.nodes) {
    if (node.service != service) continue;
    ++total;
    if (node.verdict == Verdict::Healthy) ++healthy;
    if (node.verdict == Verdict::Degraded) ++bad;
    if (node.verdict == Verdict::Down) ++down;
  }
  if (healthy == total && total > 0) return Verdict::Healthy;
  if (healthy == 0 && down > 0) return Verdict::Down;
  if (bad + down > 0) return Verdict::Degraded;
  return Verdict::Unknown;
}

const ServiceSpec* Applying::service(const std::string& name) const {
  return find_service(state.spec, name);
}

const NodeSpec* Applying::node_spec(const std::string& name) const {
  return find_node(state.spec, name);
}

}  // namespace fettle::core
