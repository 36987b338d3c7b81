// Resolver: names to addresses off the loop, on libuv's pool. At most kInFlightMax lookups run at
// once, so that slow DNS cannot fill the pool; the last good address of a name is kept and given if
// a lookup fails.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/address.h"
#include "io/loop.h"

namespace fettle::io {

class Resolver {
 public:
  static constexpr int kInFlightMax = 2;
  /// Callers that may wait at once.
  static constexpr std::size_t kWaitingMax = 4096;
  /// How long an answer is used before the name is asked for again; the old one serves meanwhile.
  static constexpr core::Duration kFreshFor = std::chrono::seconds(30);
  using Done = std::function<void(Result<SockAddress>)>;

  explicit Resolver(Loop& loop) : loop_(loop) {}
  /// Lookups under way end silently.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// The address now: numeric, or the last good answer; one that is not fresh is asked for again
  /// beside, so that a slow name server delays nobody.
  std::optional<SockAddress> known(const std::string& host, std::uint16_t port);
  /// Answers on the loop, never from within; kept in order. Busy: too many wait already.
  void resolve(const std::string& host, std::uint16_t port, Done done);

 private:
  struct Lookup;
  struct Cached {
    std::string numeric;
    core::Time at;
  };
  struct Waiting {
    std::uint16_t port = 0;
    Done done;
  };
  void look_up(const std::string& host);
  void start_next();
  void finished(const std::string& host, Result<std::string> numeric);

  Loop& loop_;
  std::map<std::string, Cached> cache_;
  std::map<std::string, std::vector<Waiting>> waiting_;
  std::deque<std::string> queue_;
  std::size_t waiting_count_ = 0;
  int in_flight_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fettle::io
