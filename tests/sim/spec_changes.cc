#include "tests/sim/spec_changes.h"

#include <algorithm>

#include "core/weigh.h"
#include "tests/sim/world.h"

namespace fettle::sim {
namespace {

constexpr std::size_t kNodesMax = 6;
constexpr std::size_t kNodesMin = 2;

}  // namespace

core::PlaybookSpec heal_playbook() {
  core::PlaybookSpec playbook = core::builtin_playbook(core::Verdict::Down);
  playbook.name = kHeal;
  core::StepSpec step{.id = "heal", .action = "exec.run", .timeout = milliseconds(1500)};
  step.input["command"] = std::vector<std::string>{"/lib/heal", "${node.name}"};
  step.retry = {.count = 2, .delay = milliseconds(100)};
  step.on_failure = core::OnFailure::Continue;
  playbook.steps.push_back(std::move(step));
  return playbook;
}

void SpecChanges::start(Instant between) {
  between_ = between;
  if (between_ == Instant{0}) return;
  const auto gap = static_cast<std::uint64_t>(between_.count());
  world_.clock().after(Instant(static_cast<std::int64_t>(rng_.between(gap / 4, gap * 2))),
                       [this] { change(); });
}

void SpecChanges::change() {
  if (world_.healed()) return;
  start(between_);
  const Decisions& known = world_.checks().decisions();
  if (known.revision() == 0) return;
  core::command::ApplySpec apply{.spec = known.spec(), .base = known.revision(), .by = "ann"};
  alter(apply.spec);
  if (rng_.chance(40)) alter(apply.spec);
  apply.any_base = rng_.chance(60);
  if (rng_.chance(85)) apply.removal = core::command::Removal::Prune;
  std::string nodes;
  for (const core::NodeSpec& node : apply.spec.services.front().nodes) nodes += " " + node.name;
  world_.note("person", "applies another spec:" + nodes);
  world_.ask_for(std::move(apply));
}

void SpecChanges::alter(core::Spec& spec) {
  core::ServiceSpec& service = spec.services.front();
  switch (rng_.between(0, 6)) {
    case 0:
      return add_node(spec);
    case 1:
      return remove_node(service);
    case 2:
      return alter_limits(service);
    case 3:
      return alter_probe(service);
    case 4:
      return alter_playbook(spec);
    default:
      return move_director(service);
  }
}

void SpecChanges::add_node(core::Spec& spec) {
  core::ServiceSpec& service = spec.services.front();
  if (service.nodes.size() >= kNodesMax) return remove_node(service);
  std::string name;
  for (std::size_t i = 1; name.empty(); ++i) {
    const std::string free = "n" + std::to_string(i);
    if (core::find_node(spec, free) == nullptr) name = free;
  }
  core::NodeSpec node = service.nodes.front();
  node.name = node.server = name;
  node.address.host = "10.0.1." + name.substr(1);
  if (!node.host.empty()) node.host = world_.some_founder(rng_);
  service.nodes.push_back(std::move(node));
  world_.begin_node(name);
}

void SpecChanges::remove_node(core::ServiceSpec& service) {
  if (service.nodes.size() <= kNodesMin) return;
  service.nodes.erase(service.nodes.begin() +
                      static_cast<std::ptrdiff_t>(rng_.between(0, service.nodes.size() - 1)));
}

void SpecChanges::alter_limits(core::ServiceSpec& service) {
  service.max_isolated = static_cast<std::uint32_t>(rng_.between(1, 3));
  service.min_healthy = static_cast<std::uint32_t>(rng_.between(1, 2));
}

/// Opinions under the older one count no more.
void SpecChanges::alter_probe(core::ServiceSpec& service) {
  core::ProbeSpec& probe = service.probes.front();
  probe.fall = static_cast<std::uint32_t>(rng_.between(1, 4));
  probe.rise = static_cast<std::uint32_t>(rng_.between(1, 3));
  probe.interval = milliseconds(rng_.between(3, 6) * 100);
}

/// What runs already goes on by the playbook that it began with.
void SpecChanges::alter_playbook(core::Spec& spec) {
  const bool had = !spec.playbooks.empty();
  spec.playbooks.clear();
  if (had && rng_.chance(30)) return;
  core::PlaybookSpec playbook = heal_playbook();
  for (core::StepSpec& step : playbook.steps) {
    step.retry.count = static_cast<std::uint32_t>(rng_.between(0, 3));
    step.timeout = milliseconds(rng_.between(5, 30) * 100);
  }
  const bool hosted = !spec.services.front().nodes.front().host.empty();
  if (!hosted || rng_.chance(30)) playbook.steps.pop_back();
  if (rng_.chance(20)) playbook.mode = core::Mode::Observe;
  spec.playbooks.push_back(std::move(playbook));
}

/// To the other of the two hosts that no seed takes away for good, or to both.
void SpecChanges::move_director(core::ServiceSpec& service) {
  const std::vector<std::string> hosts{world_.names()[0], world_.names()[1]};
  switch (rng_.between(0, 2)) {
    case 0:
      service.traffic.hosts = hosts;
      return;
    case 1:
      service.traffic.hosts = {hosts[0]};
      return;
    default:
      service.traffic.hosts = {hosts[1]};
      return;
  }
}

}  // namespace fettle::sim
