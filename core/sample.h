// Sample: what one probe saw once. Opinion: what one observer thinks of one node after rise and
// fall.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/model.h"
#include "core/time.h"
#include "core/words.h"

namespace fettle::core {

/// One look. `at` is when the look began, `latency` how long the answer took (host's clock).
struct Sample {
  std::string node;
  std::string probe;
  Outcome outcome = Outcome::CannotProbe;
  Time at;
  Duration latency{0};
  std::string detail;  // bounded; what was seen: `status 503`, `connect: refused`
};

/// One observer's grade of one fault class of one node.
struct ClassOpinion {
  FaultClass fault_class = FaultClass::Service;
  Verdict grade = Verdict::Unknown;
  Outcome outcome = Outcome::CannotProbe;  // the latest one that led to the grade
  Duration age{0};  // since the first sample of the streak that led to it, at the time of sending
  bool ends_start = false;  // a probe that declares a start period has passed
  bool blind = false;       // a probe could not look `fall` times in a row, whatever the grade
  friend bool operator==(const ClassOpinion&, const ClassOpinion&) = default;
};

/// One observer's view of one node. Ages are relative to the moment it is sent.
struct Opinion {
  std::string node;
  std::uint64_t watch_revision = 0;  // of the assignment it was formed under
  std::uint64_t sequence = 0;        // grows with every change; per observer and incarnation
  std::vector<ClassOpinion> classes;
};

/// What a member is told to watch: one node with its probes.
struct Watch {
  std::string service;
  std::string node;
  Address address;
  std::uint64_t revision = 0;  // changes whenever the node's probes, address or observers change
  Duration confirm_gap{0};
  std::vector<ProbeSpec> probes;
};

/// What a member is told to look at of one director it owns.
struct DirectorWatch {
  std::string service;
  std::string kind;  // of the director
  Options options;
  std::map<std::string, std::string> servers;  // by node: its name at the director
  friend bool operator==(const DirectorWatch&, const DirectorWatch&) = default;
};

template <typename Archive>
void fields(Archive& ar, ClassOpinion& v) {
  ar(v.fault_class, v.grade, v.outcome, v.age, v.ends_start, v.blind);
}
template <typename Archive>
void fields(Archive& ar, Opinion& v) {
  ar(v.node, v.watch_revision, v.sequence, v.classes);
}

}  // namespace fettle::core
