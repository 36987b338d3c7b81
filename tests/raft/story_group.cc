#include "tests/raft/story_group.h"

#include <algorithm>

#include "tests/raft/story_words.h"

namespace fettle::raft::story {
namespace {

constexpr std::size_t kDeliveriesMax = 100'000;  // of one `settle`

std::string milliseconds_of(Instant instant) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(instant).count());
}

}  // namespace

std::string Group::broken() const {
  if (!wrong_.empty() || invariants_ == nullptr) return wrong_;
  return invariants_->violation();
}

void Group::wrong(const std::string& what) {
  if (wrong_.empty()) wrong_ = what;
}

void Group::headline(const std::string& text) {
  if (loudness_ == Loudness::Full) trace_ += text + "\n";
}

void Group::note(const ServerId& who, const std::string& text, Kind kind) {
  if (loudness_ == Loudness::Full) trace_ += "  " + text + "\n";
  if (loudness_ == Loudness::Brief && kind == Kind::Decision) {
    trace_ += milliseconds_of(now_) + " ms " + who + ": " + text + "\n";
  }
}

Group::Host& Group::host(const ServerId& id) {
  const auto found = hosts_.find(id);
  if (found != hosts_.end()) return found->second;
  wrong("no server " + id);
  static Host nobody;
  return nobody = Host{};
}

void Group::start(Host& host) {
  Config config = config_;
  config.self = host.id;
  config.seed = same_seed_ ? 1 : stable_hash(host.id);
  config.trace = true;
  const Disk& disk = host.disk;
  host.raft = std::make_unique<Raft>(config, Start{disk.hard, disk.snapshot, disk.entries}, now_);
  host.machine.clear();
  host.machine[host.raft->commit_index()] = disk.snapshot == nullptr ? "" : disk.snapshot->data;
  host.role.clear();
  invariants_->restarted(host.id, *host.raft);
}

bool Group::holds_durably(const ServerId& id, const Entry& entry) {
  const Disk& disk = host(id).disk;
  if (disk.snapshot != nullptr && entry.index <= disk.snapshot->meta.index) return true;
  return std::ranges::find(disk.entries, entry) != disk.entries.end();
}

void Group::step(Host& host, Input input) {
  if (host.raft == nullptr) return headline("  " + host.id + " is down");
  const auto led = [&] { return host.raft->role() == Role::Leader ? host.raft->term() : Term{}; };
  const Term before = led();
  const Output out = host.raft->step(now_, std::move(input));
  invariants_->stepped(host.id, *host.raft, std::max(before, led()), out);
  tell(host, out);
  for (const Message& message : out.send) send(host, message);
  apply(host, out);
  tell_answers(host, out);
  if (!out.persist) return;
  note(host.id, (host.disk.slow ? "begins to write " : "writes ") + words(*out.persist),
       Kind::Traffic);
  host.disk.pending.push_back(*out.persist);
  if (!host.disk.slow) keep(host);
}

/// The oldest write of a server becomes durable.
void Group::keep(Host& host) {
  Disk& disk = host.disk;
  const Persist batch = disk.pending.front();
  disk.pending.pop_front();
  if (batch.truncate_from) {
    std::erase_if(disk.entries, [&](const auto& one) { return one.index >= *batch.truncate_from; });
  }
  if (batch.snapshot != nullptr) disk.snapshot = batch.snapshot;
  if (batch.compact_to) {
    std::erase_if(disk.entries, [&](const auto& one) { return one.index <= *batch.compact_to; });
  }
  disk.entries.insert(disk.entries.end(), batch.entries.begin(), batch.entries.end());
  if (batch.hard) {
    invariants_->persisted(host.id, disk.hard, *batch.hard);
    disk.hard = *batch.hard;
  }
  step(host, Persisted{batch.batch});
}

void Group::tell(Host& host, const Output& out) {
  for (const std::string& fact : out.trace) note(host.id, fact, Kind::Decision);
  if (out.role_changed) tell_role(host);
  if (out.configuration_changed) {
    note(host.id, "goes by " + words(host.raft->configuration()), Kind::Decision);
  }
}

void Group::tell_role(Host& host) {
  const Raft& raft = *host.raft;
  std::string role =
      "is " + std::string(to_string(raft.role())) + " in term " + std::to_string(raft.term().value);
  if (raft.role() == Role::Follower) {
    role += raft.leader().empty() ? ", knows no leader" : " of " + raft.leader();
  }
  if (role != host.role) note(host.id, role, Kind::Decision);
  host.role = role;
}

void Group::apply(Host& host, const Output& out) {
  if (out.restore != nullptr) {
    note(host.id, "restores its machine to \"" + out.restore->data + "\"", Kind::Decision);
    host.machine.clear();
    host.machine[out.restore->meta.index] = out.restore->data;
  }
  if (!out.committed.empty()) {
    note(host.id, "commits " + words(out.committed), Kind::Decision);
  }
  for (const Entry& entry : out.committed) {
    std::string state = host.machine.rbegin()->second;
    if (entry.kind == EntryKind::Command) state += (state.empty() ? "" : " ") + entry.data;
    host.machine[entry.index] = state;
  }
}

void Group::tell_answers(const Host& host, const Output& out) {
  const auto answer = [&](std::uint64_t token, const std::string& what) {
    note(host.id, "answers \"" + asked_[token] + "\": " + what, Kind::Decision);
  };
  for (const Accepted& one : out.accepted) {
    answer(one.token, "taken as " + position(one.index, one.term));
  }
  for (const Rejected& one : out.rejected) {
    answer(one.token, std::string(to_string(one.code)) + ", " + one.why);
  }
  for (const ReadDone& one : out.reads) {
    answer(one.token, one.ok ? "sees all up to " + std::to_string(one.index.value) : "failed");
  }
  for (const Transferred& one : out.transfers) {
    answer(one.token, one.ok ? "done" : std::string(to_string(one.code)) + ", " + one.why);
  }
}

void Group::send(const Host& host, const Message& message) {
  invariants_->sent(message, host.disk.hard);
  if (is_on(cut_, message)) {
    return note(host.id, "sends " + message.to + ", lost: " + words(message), Kind::Traffic);
  }
  network_.push_back(message);
  if (settling_ && !is_on(held_, message)) return;
  note(host.id, "sends " + message.to + " " + words(message), Kind::Traffic);
}

void Group::deliver(const Message& message) {
  Host& to = host(message.to);
  headline(message.from + " -> " + message.to + " " + words(message));
  step(to, Received{message});
}

void Group::settle() {
  settling_ = true;
  for (std::size_t i = 0; i <= kDeliveriesMax; ++i) {
    const auto next =
        std::ranges::find_if(network_, [this](const auto& one) { return !is_on(held_, one); });
    if (next == network_.end()) break;
    const Message message = *next;
    network_.erase(next);
    deliver(message);
    if (i == kDeliveriesMax) wrong("the messages never end");
  }
  settling_ = false;
}

/// What is sent goes on its way for `span`, timers run out in their order.
void Group::pass(Instant span, bool delivering) {
  const Instant end = now_ + span;
  while (wrong_.empty()) {
    if (delivering) settle();
    Instant due = end;
    for (const auto& [id, host] : hosts_) {
      if (host.raft != nullptr) due = std::min(due, std::max(now_, host.raft->deadline()));
    }
    now_ = due;
    bool any = false;
    for (auto& [id, host] : hosts_) {
      if (host.raft == nullptr || host.raft->deadline() > now_) continue;
      any = true;
      headline(id + "'s timer");
      step(host, Tick{});
    }
    if (!any) break;
  }
}

void Group::tick(const ServerId& id) {
  Host& ticked = host(id);
  if (ticked.raft == nullptr) return wrong(id + " is down");
  now_ = std::max(now_, ticked.raft->deadline());
  headline(id + "'s timer");
  step(ticked, Tick{});
}

bool Group::is_on(const std::set<Link>& links, const Message& message) {
  return links.contains({message.from, message.to}) || links.contains({message.from, "*"}) ||
         links.contains({"*", message.to}) || links.contains({"*", "*"});
}

std::uint64_t Group::token_for(const std::string& what) {
  const std::uint64_t token = asked_.size() + 1;
  asked_[token] = what;
  return token;
}

}  // namespace fettle::raft::story
