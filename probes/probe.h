// Probe: one way to look at one node. Owns its connection. Answers each look exactly once, on the
// loop, never from within; destroying it cancels the look silently. It decides nothing.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "core/model.h"
#include "core/time.h"
#include "core/words.h"
#include "io/loop.h"
#include "io/resolver.h"
#include "io/stream.h"

namespace fettle::probes {

inline constexpr std::size_t kDetailBytesMax = 200;

/// What one look saw; `latency` from its start to its answer.
struct Look {
  core::Outcome outcome = core::Outcome::CannotProbe;
  std::string detail;
  core::Duration latency{0};
};

class Probe {
 public:
  using Done = std::function<void(Look)>;

  virtual ~Probe() = default;
  /// One look at a time; answered within `timeout` (and a little, when the loop is busy).
  virtual void look(core::Duration timeout, Done done) = 0;
  /// Called when a kept idle connection is closed by the node's side: a reason to look, no verdict.
  void set_on_alarm(std::function<void()> fn) { on_alarm_ = std::move(fn); }

 protected:
  std::function<void()> on_alarm_;
};

/// What probes need of the member that runs them; outlives them.
struct ProbeContext {
  io::Loop& loop;
  io::Resolver& resolver;
};

/// What the end of a connection says of the node, or of ourselves.
core::Outcome outcome_of(io::End end);

}  // namespace fettle::probes
