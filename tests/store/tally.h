// Tally: how each injected fault ended, counted, as a table.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/store/subject.h"

namespace fettle::store {

class Tally {
 public:
  struct Row {
    std::string fault;
    std::uint64_t cases = 0, recovered = 0, refused = 0, lost = 0;
  };

  void add(const std::string& fault, const Verdict& verdict) {
    Row& row = row_of(fault);
    ++row.cases;
    if (verdict.judgement == Judgement::Recovered) ++row.recovered;
    if (verdict.judgement == Judgement::Refused) ++row.refused;
    if (verdict.judgement == Judgement::Lost) ++row.lost;
  }
  const std::vector<Row>& rows() const { return rows_; }
  void print() const {
    std::printf("| %-54s | cases | recovered | refused | lost |\n|---|---|---|---|---|\n", "fault");
    for (const Row& row : rows_) {
      std::printf("| %-54s | %5llu | %9llu | %7llu | %4llu |\n", row.fault.c_str(), big(row.cases),
                  big(row.recovered), big(row.refused), big(row.lost));
    }
    std::fflush(stdout);
  }

 private:
  static unsigned long long big(std::uint64_t number) { return number; }
  Row& row_of(const std::string& fault) {
    for (Row& row : rows_) {
      if (row.fault == fault) return row;
    }
    rows_.push_back({.fault = fault});
    return rows_.back();
  }

  std::vector<Row> rows_;
};

}  // namespace fettle::store
