#include "api/spec_diff.h"

#include <map>
#include <type_traits>
#include <utility>
#include <variant>

namespace fettle::api {
namespace {

using Fields = std::map<std::string, std::string>;  // name → its value as text
using Parts = std::map<std::string, Fields>;        // `service chat` → its fields

std::string joined(const std::vector<std::string>& words) {
  std::string text = "[";
  for (const std::string& word : words) text += (text.size() == 1 ? "" : ", ") + word;
  return text + "]";
}

std::string text_of(const core::Option& option) {
  return std::visit(
      [](const auto& value) -> std::string {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, bool>) return value ? "true" : "false";
        if constexpr (std::is_same_v<T, std::int64_t>) return std::to_string(value);
        if constexpr (std::is_same_v<T, std::string>) return value;
        if constexpr (std::is_same_v<T, core::Duration>) return core::to_string(value);
        if constexpr (std::is_same_v<T, std::vector<std::string>>) return joined(value);
      },
      option);
}

void add_options(Fields& fields, const std::string& prefix, const core::Options& options) {
  for (const auto& [name, option] : options) fields[prefix + name] = text_of(option);
}

void add_retry(Fields& fields, const std::string& prefix, const core::RetryPolicy& retry) {
  fields[prefix + "retry.count"] = std::to_string(retry.count);
  fields[prefix + "retry.delay"] = core::to_string(retry.delay);
  fields[prefix + "retry.backoff"] = std::to_string(retry.backoff_permille) + "/1000";
}

void add_service(Parts& parts, const core::ServiceSpec& service) {
  Fields& fields = parts["service " + service.name];
  fields = {{"engine", service.engine},
            {"traffic.kind", service.traffic.kind},
            {"traffic.hosts", joined(service.traffic.hosts)},
            {"min_healthy", std::to_string(service.min_healthy)},
            {"max_isolated", std::to_string(service.max_isolated)},
            {"observers", std::to_string(service.observers)},
            {"confirm_gap", core::to_string(service.confirm_gap)},
            {"builtin", service.builtin ? "true" : "false"}};
  add_options(fields, "traffic.", service.traffic.options);
  for (const core::NodeSpec& node : service.nodes) {
    parts["node " + service.name + "/" + node.name] = {{"address", to_string(node.address)},
                                                       {"host", node.host},
                                                       {"zone", node.zone},
                                                       {"server", node.server},
                                                       {"unit", node.unit},
                                                       {"role", std::string(to_string(node.role))}};
  }
  for (const core::ProbeSpec& probe : service.probes) {
    Fields& of_probe = parts["probe " + service.name + "/" + probe.name];
    of_probe = {{"kind", probe.kind},
                {"class", std::string(to_string(probe.fault_class))},
                {"affects", std::string(to_string(probe.affects))},
                {"interval", core::to_string(probe.interval)},
                {"timeout", core::to_string(probe.timeout)},
                {"fall", std::to_string(probe.fall)},
                {"rise", std::to_string(probe.rise)},
                {"start_period", core::to_string(probe.start_period)}};
    add_options(of_probe, "", probe.options);
  }
}

void add_playbook(Parts& parts, const core::PlaybookSpec& playbook) {
  Fields& fields = parts["playbook " + playbook.name];
  fields = {{"mode", std::string(to_string(playbook.mode))},
            {"priority", std::to_string(playbook.priority)},
            {"trigger.verdict", std::string(to_string(playbook.trigger.verdict))},
            {"trigger.services", joined(playbook.trigger.services)}};
  std::vector<std::string> order;
  for (const core::StepSpec& step : playbook.steps) {
    order.push_back(step.id);
    const std::string prefix = "step " + step.id + ".";
    fields[prefix + "action"] = step.action;
    if (!step.on.empty()) fields[prefix + "on"] = step.on;
    fields[prefix + "timeout"] = core::to_string(step.timeout);
    fields[prefix + "on_failure"] = to_string(step.on_failure);
    add_retry(fields, prefix, step.retry);
    add_options(fields, prefix + "input.", step.input);
  }
  fields["steps"] = joined(order);
}

Parts parts_of(const core::Spec& spec) {
  Parts parts;
  for (const core::ServiceSpec& service : spec.services) add_service(parts, service);
  for (const core::PlaybookSpec& playbook : spec.playbooks) add_playbook(parts, playbook);
  for (const core::ReceiverSpec& receiver : spec.receivers) {
    Fields& fields = parts["receiver " + receiver.name];
    fields["kind"] = receiver.kind;
    add_retry(fields, "", receiver.retry);
    add_options(fields, "", receiver.options);
  }
  if (!spec.route_receiver.empty()) parts["route"] = {{"receiver", spec.route_receiver}};
  return parts;
}

void compare(const std::string& what, const Fields& before, const Fields& after,
             std::vector<std::string>& lines) {
  const auto shown = [](const Fields& fields, const std::string& name) -> std::string {
    const auto found = fields.find(name);
    return found == fields.end() || found->second.empty() ? "(none)" : found->second;
  };
  Fields names = before;
  names.insert(after.begin(), after.end());
  for (const auto& [name, value] : names) {
    const std::string from = shown(before, name);
    const std::string to = shown(after, name);
    if (from != to) lines.push_back("~ " + what + ": " + name + " " + from + " → " + to);
  }
}

}  // namespace

std::vector<std::string> spec_diff(const core::Spec& before, const core::Spec& after) {
  const Parts old_parts = parts_of(before);
  const Parts new_parts = parts_of(after);
  std::vector<std::string> lines;
  for (const auto& [what, fields] : new_parts) {
    const auto old = old_parts.find(what);
    if (old == old_parts.end()) {
      lines.push_back("+ " + what);
    } else {
      compare(what, old->second, fields, lines);
    }
  }
  for (const auto& [what, fields] : old_parts) {
    if (!new_parts.contains(what)) lines.push_back("- " + what);
  }
  return lines;
}

}  // namespace fettle::api
