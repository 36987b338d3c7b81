// Random histories: those of a register that is linearizable by construction are taken, spoiled
// ones are not, and short ones are judged as by trying every order.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>

#include "base/rng.h"
#include "tests/support/linearizability.h"

namespace fettle::linearizability {
namespace {

/// A real register, and clients that use it: what each operation does is done at one instant
/// between its begin and its end, or, if its outcome stays unknown, at some later instant or never.
class Execution {
 public:
  Execution(std::uint64_t seed, std::size_t clients, std::uint64_t unknown_percent)
      : rng_(seed), unknown_percent_(unknown_percent), clients_(clients) {
    for (std::size_t i = 0; i < clients; ++i) clients_[i].name = "c" + std::to_string(i);
  }

  std::vector<Operation> run(std::size_t operations) {
    while (history_.size() < operations || in_flight() > 0) {
      now_ += static_cast<std::int64_t>(rng_.between(1, 3));
      if (!late_.empty() && rng_.chance(10)) {
        apply(late_.front());
        late_.pop_front();
      }
      step(clients_[rng_.between(0, clients_.size() - 1)], history_.size() < operations);
    }
    return history_;
  }

 private:
  enum class Phase : std::uint8_t { Idle, Asked, Applied };
  struct Client {
    std::string name;
    Phase phase = Phase::Idle;
    std::size_t operation = 0;
    std::uint64_t known = 0;  // the revision it saw last
    std::string seen;
  };

  std::size_t in_flight() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        clients_, [](const Client& client) { return client.phase != Phase::Idle; }));
  }

  void step(Client& client, bool more) {
    switch (client.phase) {
      case Phase::Idle:
        if (more) ask(client);
        return;
      case Phase::Asked:
        if (rng_.chance(unknown_percent_)) return lose(client);
        apply(client.operation);
        client.phase = Phase::Applied;
        return;
      case Phase::Applied:
        answer(client);
        return;
    }
  }

  void ask(Client& client) {
    Operation one{client.name, static_cast<Kind>(rng_.between(0, 3))};
    const std::string fresh = std::to_string(history_.size());
    if (one.kind == Kind::Write) one.value = "w" + fresh;
    if (one.kind == Kind::Cas) one.value = client.seen + "," + fresh;
    if (one.kind == Kind::Cas || (one.kind == Kind::Delete && rng_.chance(50)))
      one.expected = client.known;
    if (one.kind == Kind::Delete && client.known == 0) one.expected.reset();
    one.begin_ns = now_;
    client.operation = history_.size();
    client.phase = Phase::Asked;
    history_.push_back(one);
  }

  /// The client gives up and a new one takes its place.
  void lose(Client& client) {
    if (rng_.chance(60)) late_.push_back(client.operation);
    client = {.name = client.name + "'"};
  }

  void apply(std::size_t place) {
    Operation& one = history_[place];
    Operation done = one;
    const bool fits = !one.expected || *one.expected == (present_ ? revision_ : 0);
    if (one.kind == Kind::Read) {
      done.outcome = present_ ? Outcome::Done : Outcome::Absent;
      if (present_) done.value = value_;
    } else if (!fits) {
      done.outcome = Outcome::Mismatch;
    } else if (one.kind == Kind::Delete) {
      done.outcome = present_ ? Outcome::Done : Outcome::Absent;
      present_ = false;
    } else {
      done.outcome = Outcome::Done;
      present_ = true;
      revision_ = ++newest_;
      value_ = one.value;
    }
    if (done.outcome == Outcome::Done && one.kind != Kind::Delete) done.revision = revision_;
    answers_[place] = done;
  }

  void answer(Client& client) {
    Operation& one = history_[client.operation];
    one = answers_[client.operation];
    one.end_ns = now_;
    if (one.outcome == Outcome::Done && one.revision) {
      client.known = *one.revision;
      client.seen = one.value;
    }
    if (one.outcome == Outcome::Absent) client.known = 0;
    client.phase = Phase::Idle;
  }

  Rng rng_;
  std::uint64_t unknown_percent_;
  std::vector<Client> clients_;
  std::vector<Operation> history_;
  std::map<std::size_t, Operation> answers_;
  std::deque<std::size_t> late_;
  std::int64_t now_ = 0;
  bool present_ = false;
  std::uint64_t revision_ = 0, newest_ = 0;
  std::string value_;
};

class Seeded : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Seeded, WhatARealRegisterDidIsTaken) {
  for (std::uint64_t i = 0; i < 100; ++i) {
    const std::uint64_t seed = GetParam() * 100 + i;
    const Verdict verdict = check(Execution(seed, 5, 4).run(200));
    ASSERT_EQ(verdict.answer, Answer::Linearizable) << "seed " << seed << "\n" << verdict.text;
  }
}

/// The reads that saw a value, by begin.
std::vector<Operation*> reads_of(std::vector<Operation>& history) {
  std::vector<Operation*> reads;
  for (Operation& one : history) {
    if (one.kind == Kind::Read && one.outcome == Outcome::Done) reads.push_back(&one);
  }
  return reads;
}

TEST_P(Seeded, TwoReadsThatWereSwappedAreNot) {
  std::size_t spoiled = 0;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const std::uint64_t seed = GetParam() * 100 + i;
    std::vector<Operation> history = Execution(seed, 5, 4).run(200);
    const std::vector<Operation*> reads = reads_of(history);
    for (std::size_t at = 1; at < reads.size(); ++at) {
      Operation &first = *reads[at - 1], &second = *reads[at];
      if (first.end_ns >= second.begin_ns || first.revision == second.revision) continue;
      std::swap(first.value, second.value);  // apart in time, and revisions only grow
      std::swap(first.revision, second.revision);
      ++spoiled;
      const Verdict verdict = check(history);
      ASSERT_EQ(verdict.answer, Answer::Violated) << "seed " << seed;
      ASSERT_GT(verdict.prefix, 0U);
      break;
    }
  }
  EXPECT_GT(spoiled, 90U);
}

TEST_P(Seeded, ASwapThatIsToldTwiceIsNot) {
  std::size_t spoiled = 0;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const std::uint64_t seed = GetParam() * 100 + i;
    std::vector<Operation> history = Execution(seed, 5, 4).run(200);
    const auto swap = std::ranges::find_if(history, [](const Operation& one) {
      return one.kind == Kind::Cas && one.outcome == Outcome::Done && one.expected != 0U;
    });
    if (swap == history.end()) continue;
    Operation again = *swap;
    again.client = "again";
    again.revision = *again.revision + 1000;
    again.begin_ns = history.back().begin_ns + 1000;
    again.end_ns = again.begin_ns + 1;
    history.push_back(again);
    ++spoiled;
    ASSERT_EQ(check(history).answer, Answer::Violated) << "seed " << seed;
  }
  EXPECT_GT(spoiled, 90U);
}

INSTANTIATE_TEST_SUITE_P(Random, Seeded, testing::Range(std::uint64_t{1}, std::uint64_t{4}));

/// Every order by trying (Wing & Gong's definition to the letter): operation by operation, whatever
/// no other that is not yet part of the order ended before.
bool by_every_order(const std::vector<Operation>& history, const Register& now,
                    std::vector<bool>& taken) {
  const auto answered = [&](std::size_t i) { return history[i].outcome != Outcome::Unknown; };
  std::int64_t first_end = kNever;
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (!taken[i] && answered(i)) first_end = std::min(first_end, history[i].end_ns);
  }
  if (first_end == kNever) return true;
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (taken[i] || history[i].begin_ns > first_end) continue;
    const auto next = after(now, history[i]);
    if (!next) continue;
    taken[i] = true;
    if (by_every_order(history, *next, taken)) return true;
    taken[i] = false;
  }
  return false;
}

/// One operation is told another answer.
void spoil(std::vector<Operation>& history, Rng& rng) {
  Operation& one = history[rng.between(0, history.size() - 1)];
  if (one.outcome == Outcome::Unknown) return;
  const Operation& other = history[rng.between(0, history.size() - 1)];
  switch (rng.between(0, 3)) {
    case 0:
      if (one.kind == Kind::Read && !other.value.empty()) one.value = other.value;
      return;
    case 1:
      one.outcome = one.kind == Kind::Read ? Outcome::Absent : Outcome::Mismatch;
      if (one.kind == Kind::Write) one.outcome = Outcome::Done;
      one.revision.reset();
      return;
    case 2:
      if (one.revision) one.revision = *one.revision + rng.between(0, 2) - 1;
      return;
    case 3:
      one.outcome = Outcome::Unknown;
      one.revision.reset();
      return;
  }
}

TEST(RandomHistories, ShortOnesAreJudgedAsByTryingEveryOrder) {
  std::size_t good = 0, bad = 0;
  for (std::uint64_t seed = 1; seed <= 10'000; ++seed) {
    Rng rng(seed);
    std::vector<Operation> history = Execution(seed, rng.between(2, 4), 15).run(rng.between(3, 8));
    for (std::uint64_t i = rng.between(0, 4); i > 0; --i) spoil(history, rng);
    std::vector<bool> taken(history.size());
    const bool expected = by_every_order(history, {}, taken);
    const Verdict verdict = check(history);
    ASSERT_EQ(verdict.answer, expected ? Answer::Linearizable : Answer::Violated)
        << "seed " << seed << "\n"
        << verdict.text;
    ++(expected ? good : bad);
  }
  EXPECT_GT(good, 1'250U);
  EXPECT_GT(bad, 1'250U);
}

TEST(RandomHistories, AKeyIsCheap) {
  std::size_t configurations = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const Verdict verdict = check(Execution(seed, 5, 5).run(200));
    ASSERT_EQ(verdict.answer, Answer::Linearizable) << "seed " << seed << "\n" << verdict.text;
    configurations += verdict.configurations;
  }
  EXPECT_LT(configurations / 300, 20'000U);
}

}  // namespace
}  // namespace fettle::linearizability
