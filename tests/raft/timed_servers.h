// Servers in virtual time, on a network and disks that take theirs: FIFO links, one write after
// another. For what depends on how long things take, as a failover does.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "tests/raft/one_server.h"

namespace fettle::raft {

/// Each way and each write takes between the two, drawn anew every time.
struct Delays {
  Instant way_least{std::chrono::microseconds(100)};
  Instant way_most{std::chrono::microseconds(600)};
  Instant disk_least{std::chrono::microseconds(200)};
  Instant disk_most{std::chrono::milliseconds(4)};
};

class TimedServers {
 public:
  TimedServers(std::size_t voters, std::uint64_t seed, Config config = {}, Delays delays = {})
      : delays_(delays), rng_(seed) {
    std::vector<ServerId> ids;
    ids.reserve(voters);
    for (std::size_t i = 0; i < voters; ++i) ids.emplace_back(1, static_cast<char>('a' + i));
    for (const ServerId& id : ids) {
      config.self = id;
      config.seed = rng_.next();
      config.trace = true;
      servers_[id] = std::make_unique<Raft>(config, first(ids), now);
    }
  }

  Raft& at(const ServerId& id) { return *servers_.at(id); }
  void tell(const ServerId& id, Input input) {
    if (!silent.contains(id)) take(id, at(id).step(now, std::move(input)));
  }
  /// Runs until `done`, asked after every step, or until `limit` has passed. False: the latter.
  bool runs(Instant limit, const std::function<bool()>& done) {
    const Instant until = now + limit;
    while (!done()) {
      if (!next_event(until)) return false;
    }
    return true;
  }
  void passes(Instant time) {
    runs(time, [] { return false; });
  }
  /// A server that hears nobody is none, though it may think so. Empty: none.
  ServerId leader() const {
    for (const auto& [id, server] : servers_) {
      if (server->role() == Role::Leader && !silent.contains(id)) return id;
    }
    return "";
  }

  Instant now{0};
  std::set<ServerId> silent;  // hang, or are cut off: neither step nor hear nor are heard
  std::function<bool(const Message&)> lost;
  std::size_t campaigns = 0;  // for real votes

 private:
  /// False: nothing happens until then.
  bool next_event(Instant until) {
    Instant due = events_.empty() ? Instant::max() : events_.begin()->first;
    ServerId timer;
    for (const auto& [id, server] : servers_) {
      if (silent.contains(id) || server->deadline() >= due) continue;
      due = server->deadline();
      timer = id;
    }
    if (due > until) {
      now = until;
      return false;
    }
    now = std::max(now, due);
    if (!timer.empty()) {
      tell(timer, Tick{});
      return true;
    }
    const auto event = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    event();
    return true;
  }
  void take(const ServerId& id, const Output& out) {
    for (const std::string& fact : out.trace) {
      if (fact.starts_with("campaigns in term ")) ++campaigns;
    }
    for (const Message& message : out.send) {
      if (lost && lost(message)) continue;
      after(arrived_[{message.from, message.to}], delays_.way_least, delays_.way_most,
            [this, message] { tell(message.to, Received{message}); });
    }
    if (!out.persist) return;
    after(written_[id], delays_.disk_least, delays_.disk_most,
          [this, id, batch = out.persist->batch] { tell(id, Persisted{batch}); });
  }
  /// Not before what went the same way before it.
  void after(Instant& last, Instant least, Instant most, std::function<void()> event) {
    const auto took = rng_.between(static_cast<std::uint64_t>(least.count()),
                                   static_cast<std::uint64_t>(most.count()));
    last = std::max(last, now + Instant(static_cast<std::int64_t>(took)));
    events_.emplace(last, std::move(event));
  }

  Delays delays_;
  Rng rng_;
  std::map<ServerId, std::unique_ptr<Raft>> servers_;
  std::multimap<Instant, std::function<void()>> events_;
  std::map<std::pair<ServerId, ServerId>, Instant> arrived_;
  std::map<ServerId, Instant> written_;
};

}  // namespace fettle::raft
