// NameLookup: a probe's way to the address of its node: the known one at once, else by a lookup
// that is given no longer than the look itself. One at a time; destroying it ends it silently.
#pragma once

#include <functional>
#include <memory>

#include "io/timer.h"
#include "probes/probe.h"

namespace fettle::probes {

class NameLookup {
 public:
  using Found = std::function<void(Result<io::SockAddress>)>;

  explicit NameLookup(ProbeContext& context) : context_(context), timer_(context.loop) {}
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

  /// Answers once: from within if the address is known, else within `timeout`.
  void find(const core::Address& address, core::Duration timeout, Found found);

 private:
  void answer(Result<io::SockAddress> address);

  ProbeContext& context_;
  io::Timer timer_;
  Found found_;
  std::shared_ptr<int> asked_ = std::make_shared<int>(0);  // number of the lookup; -1: gone
};

}  // namespace fettle::probes
