// Subject: a store under test as a row of steps whose outcomes are known: after step n it must hold
// exactly state n. Each step is one acknowledgement (a save, a fact), or quiet work (settle, close
// and open again) that changes nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/store/fault_vfs.h"

namespace fettle::store {

class Subject {
 public:
  virtual ~Subject() = default;
  virtual const char* name() const = 0;
  virtual std::string path() const = 0;
  virtual std::size_t steps() const = 0;
  /// What load() must show after that many steps; 0: new.
  virtual const std::string& state(std::size_t steps) const = 0;

  /// A store that is open on a disk.
  class Opened {
   public:
    virtual ~Opened() = default;
    /// Carries out step n, counted from 0.
    virtual Status step(std::size_t n) = 0;
    virtual Result<std::string> load() = 0;
  };
  virtual Result<std::unique_ptr<Opened>> open(Disk& disk) const = 0;
  /// In place of a step: close and open again.
  virtual bool reopens(std::size_t n) const = 0;
};

/// Appends, cut suffixes, terms and votes, snapshots of several parts with compaction, facts.
std::unique_ptr<Subject> group_subject(std::uint64_t seed, std::size_t steps);
/// Begun and done entries, fences, forgetting, counted starts.
std::unique_ptr<Subject> host_subject(std::uint64_t seed, std::size_t steps);

struct Ran {
  /// Of each step that was acknowledged: how many operations the disk had seen by then.
  std::vector<std::size_t> marks;
  std::string error;  // empty: all of them
  bool struck_closing =
      false;  // the fault came while a store was closed in order, which says nothing
  std::size_t acknowledged() const { return marks.size(); }
};
/// Steps until one fails. `keep_open`: what is open at the end stays there, for a disk that is
/// looked at before it is closed.
Ran run(const Subject& subject, FaultDisk& disk,
        std::unique_ptr<Subject::Opened>* keep_open = nullptr);
/// Opens and carries out the steps from `first` on.
Ran run_from(const Subject& subject, FaultDisk& disk, std::unique_ptr<Subject::Opened>& opened,
             std::size_t first);

enum class Judgement : std::uint8_t { Recovered, Refused, Lost };
struct Verdict {
  Judgement judgement = Judgement::Lost;
  std::string why;
  std::size_t steps = 0;  // recovered: the state after so many
};
/// Opens what is on `disk`, where `acknowledged` steps were. Recovered: exactly the state after
/// them or after one more; with `go_on` it also takes the steps that are left and keeps them.
Verdict judge(const Subject& subject, FaultDisk& disk, std::size_t acknowledged, bool go_on);

}  // namespace fettle::store
