// One server `a` whose disk, peers and clock are the test; and words to tell it things.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "raft/raft.h"

namespace fettle::raft {

using std::chrono::milliseconds;

inline Entry entry(std::uint64_t term, std::uint64_t index) {
  return {Term{term}, Index{index}, EntryKind::Command, "x"};
}

inline Configuration voters(const std::vector<ServerId>& ids) {
  Configuration made;
  for (const ServerId& id : ids) made.servers.push_back({.id = id, .info = ""});
  return made;
}

inline Entry configuration_entry(std::uint64_t term, std::uint64_t index, const Configuration& to) {
  return {Term{term}, Index{index}, EntryKind::Configuration, encode(to)};
}

inline std::shared_ptr<const Snapshot> snapshot_of(std::uint64_t term, std::uint64_t index,
                                                   Configuration configuration,
                                                   std::string data = "") {
  auto made = std::make_shared<Snapshot>();
  made->meta = {Index{index}, Term{term}, std::move(configuration), Index{}};
  made->data = std::move(data);
  return made;
}

/// How a group of these voters begins.
inline Start first(const std::vector<ServerId>& ids) {
  return {{}, snapshot_of(0, 0, voters(ids)), {}};
}

class OneServer {
 public:
  explicit OneServer(const std::vector<ServerId>& ids = {"a", "b", "c"}, HardState hard = {},
                     std::vector<Entry> log = {})
      : OneServer(Start{std::move(hard), first(ids).snapshot, std::move(log)}) {}
  explicit OneServer(Start start, Config config = {}) : raft(named(config), start, Instant{0}) {}

  Output step(Input input) {
    Output out = raft.step(now, std::move(input));
    if (out.persist) last_batch = out.persist->batch;
    return out;
  }
  Output hears(const ServerId& from, std::uint64_t term, Body body) {
    return step(Received{{from, "a", Term{term}, std::move(body)}});
  }
  Output disk_is_done() { return step(Persisted{last_batch}); }
  Output time_is_up() {
    now = raft.deadline();
    return step(Tick{});
  }
  /// Pre-vote, vote, all granted by b and made durable.
  Output wins() {
    time_is_up();
    hears("b", raft.term().value + 1, VoteReply{true, true});
    disk_is_done();
    return hears("b", raft.term().value, VoteReply{false, true});
  }
  Output acks(const ServerId& from, std::uint64_t match, std::uint64_t round = 0) {
    return hears(from, raft.term().value,
                 AppendReply{.success = true, .match = Index{match}, .round = round});
  }
  /// Leads, and its no-op is committed.
  void leads_surely() {
    wins();
    disk_is_done();
    acks("b", raft.log().last_index().value);
  }

  static Config named(Config config) {
    config.self = "a";
    return config;
  }

  Instant now{0};
  Raft raft;
  std::uint64_t last_batch = 0;
};

template <typename T>
std::vector<T> bodies(const Output& out) {
  std::vector<T> found;
  for (const Message& message : out.send) {
    if (const auto* body = std::get_if<T>(&message.body)) found.push_back(*body);
  }
  return found;
}

/// The bodies of this kind that go to one server.
template <typename T>
std::vector<T> bodies_to(const ServerId& to, const Output& out) {
  std::vector<T> found;
  for (const Message& message : out.send) {
    const auto* body = std::get_if<T>(&message.body);
    if (body != nullptr && message.to == to) found.push_back(*body);
  }
  return found;
}

}  // namespace fettle::raft
