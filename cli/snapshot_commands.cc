#include <cstdio>

#include "cli/commands.h"
#include "core/codec.h"
#include "core/snapshot_file.h"
#include "core/time.h"
#include "io/files.h"

namespace fettle::cli {
namespace {

struct Read {
  core::SnapshotFile file;
  core::State state;
};

Result<Read> read(const std::string& path) {
  FETTLE_TRY(const std::string bytes, io::read_file(path, Client::kAnswerBytesMax));
  Read read;
  FETTLE_TRY(read.file, core::read_snapshot_file(bytes));
  FETTLE_TRY(read.state, decode<core::State>(read.file.state));
  return read;
}

ordered_json view(const Read& read) {
  ordered_json members = ordered_json::array();
  for (const auto& [name, facts] : read.state.members) members.push_back(name);
  return {{"cluster", read.file.cluster},
          {"generation", read.file.generation},
          {"level", read.file.level},
          {"index", read.file.index.value},
          {"taken", core::to_string(read.file.taken)},
          {"revision", read.state.revision},
          {"members", members},
          {"nodes", read.state.nodes.size()},
          {"incidents", read.state.incidents.size()},
          {"runs", read.state.runs.size()},
          {"keys", read.state.kv.values.size()},
          {"bytes", read.file.state.size()}};
}

int print(const Common& common, const ordered_json& view) {
  if (common.format != Format::Table) {
    print_document(common.format, view);
    return 0;
  }
  for (const auto& [key, value] : view.items()) {
    std::printf("%-11s %s\n", key.c_str(), cell(value).c_str());
  }
  return 0;
}

}  // namespace

int snapshot_save(const Common& common, const SnapshotOptions& options) {
  const auto bytes = Client(common.socket, common.server).get_text("/v1/snapshot");
  if (!bytes) return say(bytes.error());
  if (const auto whole = core::read_snapshot_file(*bytes); !whole) return say(whole.error());
  if (const Status written = io::write_file_atomic(options.file, *bytes, 0600); !written) {
    return say(written.error());
  }
  return snapshot_inspect(common, options);
}

int snapshot_inspect(const Common& common, const SnapshotOptions& options) {
  const auto whole = read(options.file);
  if (!whole) return say(whole.error());
  return print(common, view(*whole));
}

int snapshot_restore(const Common& common, const SnapshotOptions& options) {
  const auto whole = read(options.file);
  if (!whole) return say(whole.error());
  if (common.format != Format::Table) return print(common, view(*whole));
  std::printf(
      "%s is whole: cluster %s, entry %llu.\n"
      "A group begins anew from it on a host whose fettled is stopped and whose data directory is "
      "empty:\n"
      "  fettled --config /etc/fettle/fettled.yaml --recover-alone %s --from %s\n"
      "then start fettled there, and add the others (fettle member add).\n",
      options.file.c_str(), whole->file.cluster.c_str(),
      static_cast<unsigned long long>(whole->file.index.value), whole->file.cluster.c_str(),
      options.file.c_str());
  return 0;
}

}  // namespace fettle::cli
