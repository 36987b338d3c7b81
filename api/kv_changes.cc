#include "api/kv_changes.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "api/views.h"

namespace fettle::api {
namespace {

using nlohmann::ordered_json;

std::size_t size_of(const core::effect::KvChanged& change) {
  return change.key.size() + (change.value ? change.value->size() : 0);
}

std::string sse(std::uint64_t revision, const char* kind, const ordered_json& data) {
  return "id: " + std::to_string(revision) + "\nevent: " + kind + "\ndata: " + dump(data) + "\n\n";
}

}  // namespace

void KvChanges::add(const core::effect::KvChanged& change) {
  skip_to(change.revision - 1);
  bytes_ += size_of(change);
  changes_.push_back(change);
  while (changes_.size() > kKept || (bytes_ > kKeptBytes && changes_.size() > 1)) {
    bytes_ -= size_of(changes_.front());
    from_ = changes_.front().revision;
    changes_.pop_front();
  }
}

void KvChanges::skip_to(std::uint64_t revision) {
  const std::uint64_t newest = changes_.empty() ? from_.value_or(0) : changes_.back().revision;
  if (from_ && newest >= revision) return;
  changes_.clear();
  bytes_ = 0;
  from_ = revision;
}

bool KvChanges::covers(std::uint64_t revision) const { return from_ && *from_ <= revision; }

KvChanges::Batch KvChanges::after(std::uint64_t revision, std::string_view prefix,
                                  std::size_t changes_max) const {
  Batch batch{.place = revision};
  batch.gap = from_ && !covers(revision);
  auto at = std::ranges::upper_bound(changes_, revision, {}, &core::effect::KvChanged::revision);
  for (; at != changes_.end() && batch.changes.size() < changes_max; ++at) {
    batch.place = at->revision;
    if (at->key.starts_with(prefix)) batch.changes.push_back(&*at);
  }
  return batch;
}

std::string kv_sse(const core::effect::KvChanged& change) {
  const char* kind = change.value ? "put" : "delete";
  ordered_json data{{"kind", kind}, {"key", change.key}};
  if (change.value) data["value"] = ordered_json::parse(*change.value, nullptr, false);
  data["revision"] = change.revision;
  return sse(change.revision, kind, data);
}

std::string kv_sse_reset(const KvRead& now) {
  // Begins at nothing and goes by revision: a watcher that is cut off anywhere in it misses nothing
  // when it goes on after the last id it saw.
  std::string text = sse(0, "reset", {{"kind", "reset"}, {"revision", now.revision}});
  std::map<std::uint64_t, const std::string*> by_revision;
  for (const auto& [key, value] : now.values) by_revision.emplace(value.revision, &key);
  for (const auto& [revision, key] : by_revision) {
    text += kv_sse({*key, revision, now.values.at(*key).value});
  }
  return text;
}

}  // namespace fettle::api
