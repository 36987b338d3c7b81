#include "tests/sim/kv_clients.h"

#include <algorithm>

#include "tests/sim/world.h"

namespace fettle::sim {
namespace {

using linearizability::Kind;
using Told = linearizability::Outcome;

constexpr Instant kPatience = milliseconds(600);
constexpr std::uint64_t kOperationsPerKey = 60;  // the checker's work grows with a history
constexpr std::uint64_t kKeysAtOnce = 2;

std::string value_of(std::uint64_t number) { return "\"v" + std::to_string(number) + "\""; }

/// What the answer says of the change; nothing if it certainly changed nothing and told nothing.
std::optional<Told> outcome_of(const core::ClientAnswer& answer) {
  if (answer.ok) return Told::Done;
  if (answer.code == Code::NotFound) return Told::Absent;
  if (answer.code == Code::Conflict) return Told::Mismatch;
  return std::nullopt;  // the group is not founded, or not yet at the level that has a store
}

}  // namespace

void KvClients::start(std::size_t clients) {
  lives_.assign(clients, 1);
  for (std::size_t client = 0; client < clients; ++client) after_a_while(client);
}

void KvClients::after_a_while(std::size_t client) {
  if (world_.healed()) return;
  const auto gap = static_cast<std::uint64_t>(world_.profile().between_kv.count());
  world_.clock().after(Instant(static_cast<std::int64_t>(rng_.between(gap / 4, gap * 2))),
                       [this, client] { next(client); });
}

void KvClients::next(std::size_t client) { rng_.chance(40) ? read(client) : change(client); }

std::string KvClients::some_key() {
  const std::uint64_t age = operations_ / (kOperationsPerKey * kKeysAtOnce);
  return "k" + std::to_string(age * kKeysAtOnce + rng_.between(1, kKeysAtOnce));
}

KvClients::AskedPtr KvClients::begin(std::size_t client, Operation operation) {
  ++operations_;
  auto asked = std::make_shared<Asked>();
  asked->client = client;
  asked->key = some_key();
  operation.client = "c" + std::to_string(client + 1) + "-" + std::to_string(lives_[client]);
  operation.begin_ns = world_.clock().now().count();
  auto& history = histories_[asked->key];
  asked->place = history.size();
  history.push_back(std::move(operation));
  return asked;
}

void KvClients::read(std::size_t client) {
  const AskedPtr asked = begin(client, {.kind = Kind::Read});
  world_.clock().after(kPatience, [this, asked] { give_up(asked); });
  world_.door(rng_).read(asked->key, [this, asked](std::optional<core::KvValue> value) {
    if (asked->over) return;
    Operation& read = operation(*asked);
    read.outcome = value ? Told::Done : Told::Absent;
    if (value) {
      read.value = value->value;
      read.revision = seen_[asked->key] = value->revision;
    }
    finish(asked);
  });
}

void KvClients::change(std::size_t client) {
  const std::uint64_t dice = rng_.between(0, 99);
  const std::string value = value_of(operations_ + 1);
  const Kind kind = dice < 40 ? Kind::Write : dice < 85 ? Kind::Cas : Kind::Delete;
  const AskedPtr asked = begin(client, {.kind = kind});
  Operation& change = operation(*asked);
  const auto seen = seen_.find(asked->key);
  const bool known = seen != seen_.end() && rng_.chance(85);
  if (kind == Kind::Cas) change.expected = known ? seen->second : 0;
  if (kind == Kind::Delete && known && rng_.chance(50)) change.expected = seen->second;
  if (kind == Kind::Delete) {
    asked->command = core::command::KvDelete{asked->key, change.expected};
  } else {
    change.value = value;
    asked->command = core::command::KvPut{asked->key, value, change.expected};
  }
  if (rng_.chance(50)) {
    asked->idempotency_key = "kv-" + std::to_string(operations_);
    ++waiting_;
  }
  ask(asked);
}

/// Under an idempotency key any member, then another, until there is an answer.
void KvClients::ask(const AskedPtr& asked) {
  if (asked->over) return;
  const std::uint64_t number = ++asked->tries;
  const bool insists = !asked->idempotency_key.empty();
  const auto unanswered = [this, asked, number, insists] {
    if (insists && asked->tries == number) return ask(asked);
    if (!insists) give_up(asked);
  };
  world_.clock().after(kPatience, unanswered);
  world_.door(rng_).ask(asked->idempotency_key, asked->command,
                        [this, asked, unanswered](const std::optional<core::ClientAnswer>& answer) {
                          if (answer) return told(asked, *answer);
                          world_.clock().after(milliseconds(50), unanswered);
                        });
}

void KvClients::told(const AskedPtr& asked, const core::ClientAnswer& answer) {
  if (asked->over) return;
  Operation& change = operation(*asked);
  const auto outcome = outcome_of(answer);
  // A refusal is not in the log: an earlier try that is still on its way may yet take effect.
  if (!outcome && asked->tries > 1) {
    --waiting_;
    return give_up(asked);
  }
  if (!outcome) {
    change.kind = Kind::Read;  // as one without an answer: nothing was changed, nothing told
    change.outcome = Told::Unknown;
  } else {
    change.outcome = *outcome;
    if (answer.ok) change.revision = answer.number;
    if (answer.ok && change.kind != Kind::Delete) seen_[asked->key] = answer.number;
    if (change.outcome == Told::Absent) seen_.erase(asked->key);
  }
  if (!asked->idempotency_key.empty()) {
    --waiting_;
    if (outcome && rng_.chance(30)) ask_once_more(asked);
  }
  finish(asked);
}

/// Long after its answer; Checks compares the two.
void KvClients::ask_once_more(const AskedPtr& asked) {
  world_.clock().after(milliseconds(rng_.between(50, 2500)), [this, asked] {
    world_.door(rng_).ask(asked->idempotency_key, asked->command,
                          [](const std::optional<core::ClientAnswer>&) {});
  });
}

void KvClients::finish(const AskedPtr& asked) {
  asked->over = true;
  Operation& done = operation(*asked);
  done.end_ns = world_.clock().now().count();
  world_.note(done.client, asked->key + ": " + linearizability::to_string(done, 0));
  after_a_while(asked->client);
}

/// What became of it is not known, and may be decided later: the client retires.
void KvClients::give_up(const AskedPtr& asked) {
  if (asked->over) return;
  asked->over = true;
  ++lives_[asked->client];
  after_a_while(asked->client);
}

std::string KvClients::at_end(const core::KvStore& kv) {
  const std::int64_t now = world_.clock().now().count();
  for (auto& [key, history] : histories_) {
    Operation last{.client = "last", .kind = Kind::Read, .begin_ns = now, .end_ns = now};
    const auto found = kv.values.find(key);
    last.outcome = found == kv.values.end() ? Told::Absent : Told::Done;
    if (found != kv.values.end()) {
      last.value = found->second.value;
      last.revision = found->second.revision;
    }
    history.push_back(std::move(last));
    const linearizability::Verdict verdict = linearizability::check(history);
    if (verdict.answer != linearizability::Answer::Linearizable) {
      return "what clients were told of " + key + " is not linearizable: " + verdict.text;
    }
  }
  return "";
}

}  // namespace fettle::sim
