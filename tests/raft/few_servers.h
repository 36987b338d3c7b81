// A few servers in one place, on a network and disks that do at once what they are told; the test
// decides what is lost, who is silent, and when time passes.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/raft/one_server.h"

namespace fettle::raft {

class FewServers {
 public:
  explicit FewServers(const std::vector<ServerId>& ids = {"a", "b", "c"}, Config config = {})
      : config_(std::move(config)) {
    for (const ServerId& id : ids) start(id, first(ids));
  }

  void start(const ServerId& id, Start from) {
    Config config = config_;
    config.self = id;
    config.seed = servers_.size() + 1;
    servers_[id] = std::make_unique<Raft>(config, std::move(from), now);
  }
  /// A new process with an empty disk, in nobody's configuration.
  void comes(const ServerId& id) { start(id, {}); }
  void dies(const ServerId& id) { servers_.erase(id); }

  Raft& at(const ServerId& id) { return *servers_.at(id); }

  /// One input, its writes and its answers; messages wait for settle().
  Output tell(const ServerId& id, Input input) {
    Output out = at(id).step(now, std::move(input));
    take(id, out);
    return out;
  }
  /// Delivers until nobody has anything to say.
  void settle() {
    for (int i = 0; i < 100'000 && !network_.empty(); ++i) {
      Message message = std::move(network_.front());
      network_.pop_front();
      if (lost && lost(message)) continue;
      if (silent.contains(message.from) || silent.contains(message.to)) continue;
      if (servers_.contains(message.to)) {
        const ServerId to = message.to;
        tell(to, Received{std::move(message)});
      }
    }
  }
  /// Time passes up to the next timer that is due, and what it causes is settled.
  void next_timer() {
    Instant due = Instant::max();
    for (const auto& [id, server] : servers_) due = std::min(due, server->deadline());
    now = std::max(now, due);
    std::vector<ServerId> late;
    for (const auto& [id, server] : servers_) {
      if (server->deadline() <= now) late.push_back(id);
    }
    for (const ServerId& id : late) tell(id, Tick{});
    settle();
  }
  void passes(Instant time) {
    const Instant until = now + time;
    for (;;) {
      Instant due = Instant::max();
      for (const auto& [id, server] : servers_) due = std::min(due, server->deadline());
      if (due > until) break;
      next_timer();
    }
    now = until;
  }
  void campaigns(const ServerId& id) {
    now = std::max(now, at(id).deadline());
    tell(id, Tick{});
    settle();
  }
  void proposes(const ServerId& id, int entries, const std::string& data = "x") {
    for (int i = 0; i < entries; ++i) tell(id, Propose{0, data});
    settle();
  }
  /// Everything that a server applied, or was restored to.
  Index applied(const ServerId& id) { return applied_[id]; }
  ServerId leader() {
    for (const auto& [id, server] : servers_) {
      if (server->leads_surely()) return id;
    }
    return "";
  }

  Instant now{0};
  std::function<bool(const Message&)> lost;
  std::set<ServerId> silent;
  std::vector<Output> told;  // every output, in order

 private:
  void take(const ServerId& id, const Output& out) {
    told.push_back(out);
    if (out.restore != nullptr) applied_[id] = out.restore->meta.index;
    for (const Entry& entry : out.committed) applied_[id] = entry.index;
    for (const Message& message : out.send) network_.push_back(message);
    if (out.persist) tell(id, Persisted{out.persist->batch});
  }

  Config config_;
  std::map<ServerId, std::unique_ptr<Raft>> servers_;
  std::map<ServerId, Index> applied_;
  std::deque<Message> network_;
};

}  // namespace fettle::raft
