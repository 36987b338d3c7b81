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
  static constexpr std::size_t kQueuedMax = 4096;
  /// How long an answer is used before the name is asked for again.
  static constexpr core::Duration kFreshFor = std::chrono::seconds(30);
  using Done = std::function<void(Result<SockAddress>)>;

  explicit Resolver(Loop& loop) : loop_(loop) {}
  /// Lookups under way end silently.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// The address now, if it needs no lookup: numeric, or a fresh answer.
  std::optional<SockAddress> known(const std::string& host, std::uint16_t port) const;
  /// Answers on the loop, never from within; kept in order.
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
  void start_next();
  void finished(const std::string& host, Result<std::string> numeric);

  Loop& loop_;
  std::map<std::string, Cached> cache_;
  std::map<std::string, std::vector<Waiting>> waiting_;
  std::deque<std::string> queue_;
  int in_flight_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fettle::io
