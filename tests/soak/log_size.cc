// fettle-soak-log-size GROUP_DB INDEX: how many entries the log holds after INDEX, how many bytes
// they carry, and how many they take in memory where the whole log is kept; one JSON object. For a
// database that no daemon uses.
#include <cstdio>
#include <cstdlib>

#include "store/group_store.h"

namespace {

/// A text beyond the small ones has a block of its own; malloc adds a word and rounds to 16.
std::size_t memory_of(const fettle::raft::Entry& entry) {
  constexpr std::size_t kSmallText = 15;
  const std::size_t held = entry.data.capacity();
  return sizeof entry + (held > kSmallText ? (held + 1 + 8 + 15) / 16 * 16 : 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: fettle-soak-log-size GROUP_DB INDEX\n", stderr);
    return 2;
  }
  const std::uint64_t after = std::strtoull(argv[2], nullptr, 10);
  auto store = fettle::store::GroupStore::open(argv[1]);
  if (!store) return std::fprintf(stderr, "%s\n", store.error().what.c_str()), 1;
  const auto loaded = (*store)->load();
  if (!loaded) return std::fprintf(stderr, "%s\n", loaded.error().what.c_str()), 1;
  std::size_t entries = 0, bytes = 0, memory = 0;
  for (const fettle::raft::Entry& entry : loaded->entries) {
    if (entry.index.value <= after) continue;
    ++entries;
    bytes += entry.data.size();
    memory += memory_of(entry);
  }
  std::printf("{\"entries\":%zu,\"bytes\":%zu,\"memory\":%zu}\n", entries, bytes, memory);
  return 0;
}
