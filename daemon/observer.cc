#include "daemon/observer.h"

#include "daemon/log.h"

namespace fettle::daemon {
namespace {

constexpr unsigned kSequenceBits = 40;  // of the opinions of one start; the starts stand above

}  // namespace

Observer::Observer(io::Loop& loop, std::uint64_t starts, Report report)
    : loop_(loop),
      first_sequence_(starts << kSequenceBits),
      report_(std::move(report)),
      resolver_(loop),
      scheduler_({loop, resolver_}, [this](const core::Sample& sample) { return take(sample); }),
      teller_(loop) {
  loop.measure_lag();
  teller_.start_repeating(kTellAllEvery, [this] { tell_all(); });
}

void Observer::watch(const std::vector<core::Watch>& watches) {
  judge_.watch(watches);
  for (const std::string& problem : scheduler_.watch(watches))
    log::error("probe.refused: " + problem);
}

void Observer::tell_all() {
  std::vector<core::Opinion> all = judge_.table(io::Loop::now());
  for (core::Opinion& opinion : all) opinion = numbered(std::move(opinion));
  if (!all.empty()) report_(std::move(all));
}

bool Observer::take(const core::Sample& sample) {
  core::Judgement judgement = judge_.observe(sample, loop_.lag());
  if (judgement.opinion) report_({numbered(std::move(*judgement.opinion))});
  return judgement.confirm;
}

core::Opinion Observer::numbered(core::Opinion opinion) const {
  opinion.sequence += first_sequence_;
  return opinion;
}

}  // namespace fettle::daemon
