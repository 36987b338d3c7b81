// The arithmetic of majorities as tables: what each voter has, and how far a majority has come (the
// rules of etcd's quorum testdata `majority_commit` and `majority_vote`).
#include "raft/quorum.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fettle::raft {
namespace {

using Indexes = std::vector<std::uint64_t>;

struct Row {
  Indexes has;  // one a voter, in any order; 0: nothing known of it
  std::uint64_t committed;
};

TEST(Quorum, AMajorityOfVotersHasReachedIt) {
  const std::vector<Row> rows{
      {{12}, 12},
      {{0}, 0},
      {{12, 13}, 12},  // of two both are needed
      {{0, 13}, 0},
      {{12, 0, 0}, 0},
      {{12, 13, 0}, 12},
      {{12, 13, 14}, 13},
      {{14, 12, 13}, 13},  // the order of voters is nothing
      {{100, 101, 99}, 100},
      {{7, 7, 7}, 7},
      {{101, 104, 103, 103}, 103},
      {{101, 102, 103, 103}, 102},  // three of four, not two
      {{0, 0, 103, 104}, 0},
      {{101, 104, 103, 103, 104}, 103},
      {{0, 0, 5, 6, 7}, 5},
      {{0, 0, 0, 6, 7}, 0},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(reached_by_majority(row.has), row.committed) << testing::PrintToString(row.has);
  }
}

TEST(Quorum, TwoMajoritiesOfTheSameVotersMeet) {
  for (std::size_t voters = 1; voters <= 100; ++voters) {
    EXPECT_GT(2 * majority_of(voters), voters);
    EXPECT_LE(2 * (majority_of(voters) - 1), voters) << "and it is the smallest such number";
  }
}

TEST(Quorum, MajoritiesOfVotersThatDifferByOneServerMeet) {
  for (std::size_t voters = 1; voters <= 100; ++voters) {
    EXPECT_GT(majority_of(voters) + majority_of(voters + 1), voters + 1);
  }
}

}  // namespace
}  // namespace fettle::raft
