#include "api/spec_diff.h"

#include <algorithm>
#include <map>

#include "base/bytes.h"
#include "core/codec.h"

namespace fettle::api {
namespace {

using Parts = std::map<std::string, std::string>;  // what it is → its bytes

Parts parts_of(const core::Spec& spec) {
  Parts parts;
  for (core::ServiceSpec service : spec.services) {
    for (const core::NodeSpec& node : service.nodes) {
      parts["node " + service.name + "/" + node.name] = encode(node);
    }
    service.nodes.clear();
    parts["service " + service.name] = encode(service);
  }
  for (core::PlaybookSpec playbook : spec.playbooks) {
    playbook.file.clear();
    playbook.position = 0;
    parts["playbook " + playbook.name] = encode(playbook);
  }
  for (const core::ReceiverSpec& receiver : spec.receivers) {
    parts["receiver " + receiver.name] = encode(receiver);
  }
  if (!spec.route_receiver.empty()) parts["route"] = spec.route_receiver;
  return parts;
}

}  // namespace

std::vector<std::string> spec_diff(const core::Spec& before, const core::Spec& after) {
  const Parts old_parts = parts_of(before);
  const Parts new_parts = parts_of(after);
  std::vector<std::string> lines;
  for (const auto& [what, bytes] : old_parts) {
    const auto now = new_parts.find(what);
    if (now == new_parts.end()) {
      lines.push_back("- " + what);
    } else if (now->second != bytes) {
      lines.push_back("~ " + what);
    }
  }
  for (const auto& [what, bytes] : new_parts) {
    if (!old_parts.contains(what)) lines.push_back("+ " + what);
  }
  return lines;
}

}  // namespace fettle::api
