// Observer: the looking side of this host: probes on the scheduler, samples into the judge, changed
// opinions out. Work loop only.
#pragma once

#include <functional>
#include <vector>

#include "core/judge.h"
#include "io/resolver.h"
#include "io/timer.h"
#include "probes/scheduler.h"

namespace fettle::daemon {

class Observer {
 public:
  /// The whole table goes out this often: what was lost on its way arrives with the next one.
  static constexpr core::Duration kTellAllEvery = std::chrono::seconds(5);
  using Report = std::function<void(std::vector<core::Opinion>)>;

  /// `starts` grows with each start of this member, so that its sequences never go back.
  Observer(io::Loop& loop, std::uint64_t starts, Report report);
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  void watch(const std::vector<core::Watch>& watches);
  /// For a new leader.
  void tell_all();
  const core::LookCounts& counts() const { return scheduler_.counts(); }

 private:
  bool take(const core::Sample& sample);
  core::Opinion numbered(core::Opinion opinion) const;

  io::Loop& loop_;
  std::uint64_t first_sequence_;
  Report report_;
  core::Judge judge_;
  io::Resolver resolver_;
  probes::Scheduler scheduler_;
  io::Timer teller_;
};

}  // namespace fettle::daemon
