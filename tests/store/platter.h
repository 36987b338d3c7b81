// Platter: what a disk surely holds and what it may hold, as writes, truncations, syncs, creations
// and deletions come. A power loss keeps any subset of what was not synced since: of a write, any
// of its sectors of 512 bytes; each file by itself; names by the folder's own sync.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace fettle::store {

/// Files by name; content by inode, so that a name may be given anew.
struct Image {
  std::map<std::string, int> names;
  std::map<int, std::string> inodes;

  const std::string* find(const std::string& name) const {
    const auto at = names.find(name);
    return at == names.end() ? nullptr : &inodes.at(at->second);
  }
  std::string* find(const std::string& name) {
    const auto at = names.find(name);
    return at == names.end() ? nullptr : &inodes.at(at->second);
  }
};

struct Op {
  enum class Kind : std::uint8_t { Write, Truncate, Sync, Create, Delete, SyncFolder };
  Kind kind = Kind::Write;
  std::string name = {};  // Create, Delete
  int inode = 0;          // all but SyncFolder
  std::uint64_t at = 0;   // Write: offset; Truncate: new size
  std::string bytes = {};
};

/// Which parts of an unsynced operation survive: called with its place among the unsynced ones and,
/// for a write, with each of its sectors in turn (else 0).
using Keep = std::function<bool(std::size_t op, std::size_t sector)>;

class Platter {
 public:
  Platter() = default;
  /// All of `image` is durable.
  explicit Platter(Image image) : durable_(std::move(image)) {}

  void take(const Op& op);
  /// What was written to the file since its sync is gone; its content now.
  const std::string& drop(int inode);
  std::size_t unsynced() const { return unsynced_.size(); }
  Image after_power_loss(const Keep& keep) const;

 private:
  Image durable_;
  std::vector<Op> unsynced_;
};

/// Carries out `op`; of a write only the sectors that `keep` names.
void apply(Image& image, const Op& op, const std::function<bool(std::size_t sector)>& keep);

}  // namespace fettle::store
