#include "daemon/loaded_log.h"

#include "core/codec.h"
#include "raft/configuration.h"

namespace fettle::daemon {

Index newest_of(const store::LoadedGroup& loaded) {
  if (!loaded.entries.empty()) return loaded.entries.back().index;
  return loaded.snapshot == nullptr ? Index{} : loaded.snapshot->meta.index;
}

Term newest_term_of(const store::LoadedGroup& loaded) {
  if (!loaded.entries.empty()) return loaded.entries.back().term;
  return loaded.snapshot == nullptr ? Term{} : loaded.snapshot->meta.term;
}

std::map<std::string, std::string> incarnations_in(const store::LoadedGroup& loaded) {
  std::map<std::string, std::string> known;
  const bool has_snapshot = loaded.snapshot != nullptr;
  const Index base = has_snapshot ? loaded.snapshot->meta.index : Index{};
  raft::Configuration before =
      has_snapshot ? loaded.snapshot->meta.configuration : raft::Configuration{};
  for (const raft::Entry& entry : loaded.entries) {
    if (entry.index <= base) continue;
    if (entry.kind == raft::EntryKind::Configuration) {
      raft::Configuration now = raft::configuration_in(entry);
      for (const raft::Server& server : before.servers) {
        if (raft::find_server(now, server.id) == nullptr) known[server.id].clear();
      }
      before = std::move(now);
    } else if (entry.kind == raft::EntryKind::Command) {
      const auto decoded = core::decode_entry(entry.data);
      if (!decoded) continue;
      const auto* set = std::get_if<core::command::SetFacts>(&decoded->command);
      if (set != nullptr) known[set->facts.name] = set->facts.incarnation;
    }
  }
  return known;
}

}  // namespace fettle::daemon
