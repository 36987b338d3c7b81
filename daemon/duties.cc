// What a leader does without being asked: it raises the engine's level once every voter supports
// it, commits which members are lost or back, and hands over when it limps.
#include <algorithm>

#include "core/level.h"
#include "daemon/group.h"
#include "daemon/log.h"

namespace fettle::daemon {

/// At every step: the first client of a new group must not find it below the level it can have.
void Group::tend_level() {
  if (raise_proposed_ || engine_.state().level >= core::kEngineLevel) return;
  const auto level = core::level_to_raise(engine_.state(), core::kEngineLevel);
  if (!level) return;
  raise_proposed_ = true;
  propose(core::command::RaiseLevel{*level}, "", nullptr);
}

/// A leader whose loop or disk limps hands over to the voter that is furthest.
void Group::tend_health() {
  const core::Duration patience = Limping::patience_of(timing_.timing().election_timeout);
  const core::Duration lag = loop_.lag();
  const std::optional<core::Duration> write = driver_->take_slowest_save(patience);
  if (!leading_) return limping_.forget();
  if (raft::voters_of(driver_->raft().configuration()).size() < 2) return;
  if (!limping_.look(io::Loop::now(), lag, write, patience)) return;
  log::warn("leader.limps: its loop or disk took up to " +
            core::to_string(std::max(lag, write.value_or(core::Duration{0}))) + " for " +
            core::to_string(Limping::kAfter) + "; it hands over");
  do_transfer("", [](const Result<core::ClientAnswer>& answer) {
    if (!answer) log::warn("leader.limps: not handed over: " + answer.error().what);
  });
}

/// What it learnt of members since the last time is one entry: observers are assigned anew once.
void Group::tend_members() {
  if (!leading_) return;
  core::command::UpdateMembers update;
  for (const core::Command& due : liveness_.due(engine_.state(), self(), io::Loop::now())) {
    if (const auto* lost = std::get_if<core::command::MemberLost>(&due)) {
      update.lost.push_back(*lost);
    } else if (const auto* back = std::get_if<core::command::MemberBack>(&due)) {
      update.back.push_back(*back);
    }
  }
  update.facts = agents_news();
  if (update.lost.empty() && update.back.empty() && update.facts.empty()) return;
  propose(std::move(update), "", nullptr);
}

}  // namespace fettle::daemon
