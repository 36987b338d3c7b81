#include "tests/support/linearizability.h"

#include <gtest/gtest.h>

namespace fettle::linearizability {
namespace {

/// A history told in order of its lines; an operation lasts from `from` to `to` milliseconds.
class Story {
 public:
  Story& read(std::string client, int from, int to, std::string value, std::uint64_t revision) {
    return add({std::move(client), Kind::Read, std::move(value), {}, Outcome::Done, revision}, from,
               to);
  }
  Story& read_nothing(std::string client, int from, int to) {
    return add({std::move(client), Kind::Read, "", {}, Outcome::Absent, {}}, from, to);
  }
  Story& write(std::string client, int from, int to, std::string value, std::uint64_t revision) {
    return add({std::move(client), Kind::Write, std::move(value), {}, Outcome::Done, revision},
               from, to);
  }
  Story& lost_write(std::string client, int from, std::string value) {
    return add({std::move(client), Kind::Write, std::move(value), {}, Outcome::Unknown, {}}, from,
               0);
  }
  Story& cas(std::string client, int from, int to, std::uint64_t expected, std::string value,
             std::uint64_t revision) {
    return add({std::move(client), Kind::Cas, std::move(value), expected, Outcome::Done, revision},
               from, to);
  }
  Story& cas_mismatch(std::string client, int from, int to, std::uint64_t expected) {
    return add({std::move(client), Kind::Cas, "never", expected, Outcome::Mismatch, {}}, from, to);
  }
  Story& lost_cas(std::string client, int from, std::uint64_t expected, std::string value) {
    return add({std::move(client), Kind::Cas, std::move(value), expected, Outcome::Unknown, {}},
               from, 0);
  }
  Story& remove(std::string client, int from, int to, Outcome outcome,
                std::optional<std::uint64_t> expected = {}) {
    return add({std::move(client), Kind::Delete, "", expected, outcome, {}}, from, to);
  }

  Verdict verdict() const { return check(history_); }

 private:
  Story& add(Operation one, int from, int to) {
    constexpr std::int64_t kMillisecond = 1'000'000;
    one.begin_ns = from * kMillisecond;
    one.end_ns = to * kMillisecond;
    history_.push_back(std::move(one));
    return *this;
  }
  std::vector<Operation> history_;
};

void expect_good(const Story& story) {
  const Verdict verdict = story.verdict();
  EXPECT_EQ(verdict.answer, Answer::Linearizable) << verdict.text;
  EXPECT_EQ(verdict.text, "");
}

/// Violated, and by the answer that comes as the `prefix`th.
std::string expect_bad(const Story& story, std::size_t prefix) {
  const Verdict verdict = story.verdict();
  EXPECT_EQ(verdict.answer, Answer::Violated);
  EXPECT_EQ(verdict.prefix, prefix) << verdict.text;
  return verdict.text;
}

TEST(Linearizability, AnEmptyHistoryIsGood) { expect_good(Story()); }

TEST(Linearizability, OneAfterAnotherEachSeesTheLast) {
  expect_good(Story()
                  .read_nothing("a", 0, 1)
                  .write("a", 2, 3, "x", 5)
                  .read("b", 4, 5, "x", 5)
                  .cas("b", 6, 7, 5, "y", 9)
                  .cas_mismatch("a", 8, 9, 5)
                  .remove("a", 10, 11, Outcome::Mismatch, 5)
                  .remove("a", 12, 13, Outcome::Done, 9)
                  .remove("b", 14, 15, Outcome::Absent)
                  .cas("b", 16, 17, 0, "z", 12)
                  .read("a", 18, 19, "z", 12));
}

TEST(Linearizability, AReadBesideAWriteMaySeeEither) {
  expect_good(Story().write("a", 0, 10, "x", 1).read_nothing("b", 1, 2).read("c", 3, 4, "x", 1));
}

TEST(Linearizability, OrderOfWritesBesideEachOtherIsFree) {
  expect_good(
      Story().write("a", 0, 10, "x", 2).write("b", 0, 10, "y", 1).read("c", 11, 12, "x", 2));
}

TEST(Linearizability, TouchingInOneInstantIsBesideEachOther) {
  expect_good(Story().write("a", 0, 5, "x", 1).read_nothing("b", 5, 6));
}

TEST(Linearizability, AStaleReadIsBad) {
  const std::string text = expect_bad(
      Story().write("a", 0, 1, "x", 1).write("a", 2, 3, "y", 2).read("b", 4, 5, "x", 1), 3);
  EXPECT_NE(text.find("no order of the first 3 answers explains the last of them:\n"
                      "  b read → x at revision 1 (4.000 ms to 5.000 ms)\n"
                      "which was written by:\n"
                      "  a write x → revision 1 (0.000 ms to 1.000 ms)\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("\n  y at revision 2\n"), std::string::npos) << text;
}

TEST(Linearizability, ReadsThatGoBackAreBad) {
  expect_bad(Story().write("a", 0, 20, "x", 1).read("b", 1, 2, "x", 1).read_nothing("c", 3, 4), 2);
}

TEST(Linearizability, TwoReadersMustAgreeOnTheOrder) {
  expect_bad(Story()
                 .lost_write("a", 0, "x")
                 .lost_write("b", 0, "y")
                 .read("c", 1, 2, "x", 1)
                 .read("c", 3, 4, "y", 2)
                 .read("d", 5, 6, "x", 1),
             3);
}

TEST(Linearizability, ALostUpdateIsBad) {
  expect_bad(Story()
                 .write("a", 0, 1, "[]", 1)
                 .cas("a", 2, 9, 1, "[1]", 2)
                 .cas("b", 2, 9, 1, "[2]", 3)
                 .read("c", 10, 11, "[2]", 3),
             3);
}

TEST(Linearizability, TwoSwapsOfOneRevisionAreBadThoughNobodyReads) {
  expect_bad(Story().write("a", 0, 1, "x", 1).cas("a", 2, 3, 1, "y", 2).cas("b", 4, 5, 1, "z", 3),
             3);
}

TEST(Linearizability, AValueNobodyWroteIsBad) {
  const std::string text = expect_bad(Story().write("a", 0, 1, "x", 1).read("b", 2, 3, "q", 1), 2);
  EXPECT_NE(text.find("which nobody ever wrote"), std::string::npos) << text;
}

TEST(Linearizability, TheRightValueAtAnotherRevisionIsBad) {
  expect_bad(Story().write("a", 0, 1, "x", 1).read("b", 2, 3, "x", 2), 2);
}

TEST(Linearizability, AReadOfTheFutureIsBad) {
  expect_bad(Story().read("b", 0, 1, "x", 1).write("a", 2, 3, "x", 1), 1);
}

TEST(Linearizability, ADoubledAppendIsBad) {
  expect_bad(Story()
                 .cas("a", 0, 1, 0, "[1]", 1)
                 .lost_cas("a", 2, 1, "[1,2]")
                 .read("b", 3, 4, "[1,2,2]", 3),
             2);
}

TEST(Linearizability, AnAcknowledgedWriteThatIsGoneIsBad) {
  expect_bad(Story().write("a", 0, 1, "x", 1).read_nothing("b", 2, 3), 2);
}

TEST(Linearizability, AnAcknowledgedDeletionThatDidNothingIsBad) {
  expect_bad(
      Story().write("a", 0, 1, "x", 1).remove("a", 2, 3, Outcome::Done).read("b", 4, 5, "x", 1), 3);
}

TEST(Linearizability, AMismatchWithTheOnlyRevisionIsBad) {
  expect_bad(Story().write("a", 0, 1, "x", 1).cas_mismatch("b", 2, 3, 1), 2);
}

TEST(Linearizability, RevisionsThatGoBackAreBad) {
  expect_bad(Story().write("a", 0, 1, "x", 4).write("a", 2, 3, "y", 3), 2);
  expect_bad(
      Story().write("a", 0, 1, "x", 4).remove("a", 2, 3, Outcome::Done).cas("a", 4, 5, 0, "y", 4),
      3);
}

TEST(Linearizability, AnUnknownOutcomeMayTakeEffectLate) {
  expect_good(Story()
                  .lost_write("a", 0, "x")
                  .write("b", 1, 2, "y", 1)
                  .read("b", 3, 4, "y", 1)
                  .read("b", 100, 101, "x", 7)
                  .read("b", 102, 103, "x", 7));
}

TEST(Linearizability, AnUnknownOutcomeMayNeverTakeEffect) {
  expect_good(Story().lost_write("a", 0, "x").read_nothing("b", 100, 101));
}

TEST(Linearizability, AnUnknownOutcomeTakesEffectOnce) {
  expect_bad(Story()
                 .lost_write("a", 0, "x")
                 .read("b", 1, 2, "x", 1)
                 .write("b", 3, 4, "y", 2)
                 .read("b", 5, 6, "x", 3),
             3);
}

TEST(Linearizability, AnUnknownSwapNeedsItsRevision) {
  expect_good(Story().write("a", 0, 1, "x", 1).lost_cas("b", 2, 1, "y").read("a", 3, 4, "y", 2));
  expect_bad(Story()
                 .write("a", 0, 1, "x", 1)
                 .write("a", 2, 3, "z", 2)
                 .lost_cas("b", 4, 1, "y")
                 .read("a", 5, 6, "y", 3),
             3);
}

TEST(Linearizability, AnUnknownWriteExplainsAMismatch) {
  expect_good(Story().write("a", 0, 1, "x", 1).lost_write("b", 2, "y").cas_mismatch("a", 3, 4, 1));
}

TEST(Linearizability, ARevisionNobodyWasToldOfIsTheSameForAll) {
  const auto story = [] { return Story().lost_write("a", 0, "x").read("b", 1, 2, "x", 8); };
  expect_good(story().cas("c", 3, 4, 8, "y", 9));
  expect_bad(story().cas("c", 3, 4, 7, "y", 9), 2);
  expect_bad(story().read("c", 3, 4, "x", 9), 2);
}

TEST(Linearizability, TooManyConfigurationsAreSaidAndNotPassed) {
  std::vector<Operation> history;
  for (int i = 0; i < 12; ++i) {
    const std::string client = "c" + std::to_string(i);
    history.push_back({client, Kind::Write, client, {}, Outcome::Done, {}, i, 1000 - i});
  }
  history.push_back({"r", Kind::Read, "nobody's", {}, Outcome::Done, {}, 2000, 2001});
  const Verdict verdict = check(history, 1000);
  EXPECT_EQ(verdict.answer, Answer::GaveUp);
  EXPECT_NE(verdict.text.find("gave up after 10"), std::string::npos) << verdict.text;
}

}  // namespace
}  // namespace fettle::linearizability
