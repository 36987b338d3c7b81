#include "tests/store/platter.h"

#include <algorithm>

namespace fettle::store {
namespace {

constexpr std::uint64_t kSectorBytes = 512;

void write(std::string& content, const Op& op,
           const std::function<bool(std::size_t sector)>& keep) {
  const std::uint64_t end = op.at + op.bytes.size();
  std::size_t sector = 0;
  for (std::uint64_t from = op.at; from < end; ++sector) {
    const std::uint64_t to = std::min(end, (from / kSectorBytes + 1) * kSectorBytes);
    if (keep(sector)) {
      if (content.size() < to) content.resize(to, '\0');
      content.replace(from, to - from, op.bytes, from - op.at, to - from);
    }
    from = to;
  }
}

}  // namespace

void apply(Image& image, const Op& op, const std::function<bool(std::size_t sector)>& keep) {
  switch (op.kind) {
    case Op::Kind::Write:
      return write(image.inodes[op.inode], op, keep);
    case Op::Kind::Truncate:
      if (keep(0)) image.inodes[op.inode].resize(op.at, '\0');
      return;
    case Op::Kind::Create:
      image.inodes[op.inode];
      if (keep(0)) image.names[op.name] = op.inode;
      return;
    case Op::Kind::Delete: {
      const auto named = image.names.find(op.name);
      if (named != image.names.end() && named->second == op.inode && keep(0)) {
        image.names.erase(named);
      }
      return;
    }
    case Op::Kind::Sync:
    case Op::Kind::SyncFolder:
      return;
  }
}

void Platter::take(const Op& op) {
  const bool sync = op.kind == Op::Kind::Sync, folder = op.kind == Op::Kind::SyncFolder;
  if (!sync && !folder) return unsynced_.push_back(op);
  std::erase_if(unsynced_, [&](const Op& one) {
    const bool of_names = one.kind == Op::Kind::Create || one.kind == Op::Kind::Delete;
    if (folder ? !of_names : of_names || one.inode != op.inode) return false;
    apply(durable_, one, [](std::size_t) { return true; });
    return true;
  });
}

const std::string& Platter::drop(int inode) {
  std::erase_if(unsynced_, [&](const Op& one) {
    return one.inode == inode && one.kind != Op::Kind::Create && one.kind != Op::Kind::Delete;
  });
  return durable_.inodes[inode];
}

Image Platter::after_power_loss(const Keep& keep) const {
  Image image = durable_;
  for (std::size_t i = 0; i < unsynced_.size(); ++i) {
    apply(image, unsynced_[i], [&](std::size_t sector) { return keep(i, sector); });
  }
  return image;
}

}  // namespace fettle::store
