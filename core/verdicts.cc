#include "core/verdicts.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "core/incidents.h"

namespace fettle::core {
namespace {

struct ClassView {
  Verdict verdict = Verdict::Unknown;
  Outcome cause = Outcome::Pass;
  std::size_t votes = 0;
};

const ClassOpinion* find_class(const HeldOpinion& held, FaultClass fault_class) {
  for (const ClassOpinion& c : held.classes) {
    if (c.fault_class == fault_class) return &c;
  }
  return nullptr;
}

/// The most frequent outcome among those that hold the grade; ties go to the smaller one.
Outcome common_outcome(const std::map<Outcome, std::size_t>& outcomes) {
  Outcome best = Outcome::Pass;
  std::size_t most = 0;
  for (const auto& [outcome, count] : outcomes) {
    if (count > most) {
      best = outcome;
      most = count;
    }
  }
  return best;
}

/// What a quorum of the assigned observers, silent ones included, holds of one class; without a
/// quorum for anything the class stays as it was: absence changes no verdict.
ClassView weigh_class(const NodeState& node, FaultClass fault_class, std::size_t quorum,
                      bool starting) {
  std::size_t down = 0;
  std::size_t bad = 0;
  std::size_t healthy = 0;
  std::map<Outcome, std::size_t> down_outcomes;
  std::map<Outcome, std::size_t> bad_outcomes;
  for (const auto& [observer, held] : node.opinions) {
    const ClassOpinion* opinion = find_class(held, fault_class);
    if (opinion == nullptr) continue;
    if (opinion->grade == Verdict::Healthy) ++healthy;
    if (opinion->grade == Verdict::Down) {
      ++down;
      ++down_outcomes[opinion->outcome];
    }
    if (opinion->grade == Verdict::Down || opinion->grade == Verdict::Degraded) {
      ++bad;
      ++bad_outcomes[opinion->outcome];
    }
  }
  const auto before = node.classes.find(fault_class);
  ClassView view{before == node.classes.end() ? Verdict::Unknown : before->second};
  if (!starting && down >= quorum) {
    view = {Verdict::Down, common_outcome(down_outcomes), down};
  } else if (!starting && bad >= quorum) {
    view = {Verdict::Degraded, common_outcome(bad_outcomes), bad};
  } else if (healthy >= quorum) {
    view = {Verdict::Healthy, Outcome::Pass, healthy};
  } else if (view.verdict == Verdict::Down || view.verdict == Verdict::Degraded) {
    view.cause = node.cause;
    view.votes = bad;
  }
  return view;
}

std::string reason_of(const NodeState& node, const ClassView& worst, bool starting) {
  const std::size_t n = node.observers.size();
  if (worst.verdict == Verdict::Healthy) return "";
  if (worst.verdict == Verdict::Unknown) {
    return starting ? "starting: it has not passed yet"
                    : "no quorum of its observers has a view yet";
  }
  std::string text = std::to_string(worst.votes) + " of " + std::to_string(n) +
                     " observers: " + std::string(to_string(worst.cause));
  if (n == 1) text += " (lone observer)";
  return text;
}

std::set<FaultClass> classes_of(const ServiceSpec& service) {
  std::set<FaultClass> classes;
  for (const ProbeSpec& probe : service.probes) {
    if (probe.affects != Affects::None) classes.insert(probe.fault_class);
  }
  return classes;
}

/// A quorum of the observers could not look at one class of it.
bool is_blind(const NodeState& node, const std::set<FaultClass>& classes, std::size_t quorum) {
  return std::ranges::any_of(classes, [&](FaultClass fault_class) {
    std::size_t blind = 0;
    for (const auto& [observer, held] : node.opinions) {
      const ClassOpinion* opinion = find_class(held, fault_class);
      if (opinion != nullptr && opinion->blind) ++blind;
    }
    return blind >= quorum;
  });
}

void record(Applying& ap, const std::string& name, NodeState& node, Verdict verdict,
            std::string reason) {
  const Verdict before = node.verdict;
  node.verdict = verdict;
  node.reason = std::move(reason);
  if (before == verdict) return;
  node.since = ap.state.wall;
  node.verdict_at = ap.state.now;
  node.verdict_index = ap.index;
  ap.happened({.kind = "verdict.changed",
               .service = node.service,
               .node = name,
               .incident = node.incident,
               .value = std::string(to_string(verdict)),
               .reason = node.reason});
  verdict_changed(ap, name, before);
}

}  // namespace

std::size_t quorum_of(const State& state, const NodeState& node) {
  const ServiceSpec* service = find_service(state.spec, node.service);
  const bool lone = state.members.size() == 1 || (service != nullptr && service->observers == 1);
  if (FETTLE_MUTANT(core_quorum_of_one)) return 1;
  const std::size_t majority = node.observers.size() / 2 + 1;
  return lone ? majority : std::max<std::size_t>(majority, 2);
}

bool is_stale(const State& state, const NodeState& node) {
  const ServiceSpec* service = find_service(state.spec, node.service);
  if (service == nullptr || node.verdict == Verdict::Unknown) return false;
  const std::size_t quorum = quorum_of(state, node);
  return std::ranges::any_of(classes_of(*service), [&](FaultClass fault_class) {
    const auto views = std::ranges::count_if(node.opinions, [&](const auto& held) {
      return find_class(held.second, fault_class) != nullptr;
    });
    return static_cast<std::size_t>(views) < quorum;
  });
}

bool is_starting(const State& state, const NodeState& node) { return node.start_until > state.now; }

void update_verdict(Applying& ap, const std::string& name) {
  const auto found = ap.state.nodes.find(name);
  if (found == ap.state.nodes.end()) return;
  NodeState& node = found->second;
  const ServiceSpec* service = ap.service(node.service);
  if (service == nullptr) return;
  const bool starting = is_starting(ap.state, node);
  ClassView worst{Verdict::Healthy};
  FaultClass worst_class = FaultClass::Service;
  bool unknown = false;
  const std::set<FaultClass> classes = classes_of(*service);
  const std::size_t quorum = quorum_of(ap.state, node);
  if (!is_blind(node, classes, quorum)) {
    node.blind_since = Time{};
  } else if (node.blind_since.ns == 0) {
    node.blind_since = ap.state.now;
  }
  for (const FaultClass fault_class : classes) {
    const ClassView view = weigh_class(node, fault_class, quorum, starting);
    node.classes[fault_class] = view.verdict;
    if (view.verdict == Verdict::Unknown) {
      unknown = true;
    } else if (view.verdict > worst.verdict) {
      worst = view;
      worst_class = fault_class;
    }
  }
  if (worst.verdict == Verdict::Healthy && unknown) worst = {Verdict::Unknown};
  if (worst.verdict == Verdict::Down || worst.verdict == Verdict::Degraded) {
    node.cause = worst.cause;
    node.cause_class = worst_class;
  }
  const bool bad = worst.verdict == Verdict::Down || worst.verdict == Verdict::Degraded;
  const bool nobody_left = bad && worst.verdict == node.verdict && worst.votes == 0;
  record(ap, name, node, worst.verdict,
         nobody_left ? node.reason : reason_of(node, worst, starting));
}

command::ReportOpinions news_of(const State& state, const command::ReportOpinions& report) {
  command::ReportOpinions news{report.observer, report.incarnation, {}};
  for (const Opinion& opinion : report.opinions) {
    const auto node = state.nodes.find(opinion.node);
    if (node == state.nodes.end()) continue;
    const auto& observers = node->second.observers;
    if (std::ranges::find(observers, report.observer) == observers.end()) continue;
    const auto revision = watch_revision_of(state, opinion.node, report.observer);
    if (revision != opinion.watch_revision) continue;
    const auto held = node->second.opinions.find(report.observer);
    if (held != node->second.opinions.end() && held->second.incarnation == report.incarnation &&
        held->second.sequence >= opinion.sequence) {
      continue;
    }
    news.opinions.push_back(opinion);
  }
  return news;
}

void take_opinions(Applying& ap, const command::ReportOpinions& report) {
  const auto member = ap.state.members.find(report.observer);
  if (member == ap.state.members.end()) return;
  if (member->second.incarnation != report.incarnation) return;
  for (const Opinion& opinion : report.opinions) {
    const auto found = ap.state.nodes.find(opinion.node);
    if (found == ap.state.nodes.end()) continue;
    NodeState& node = found->second;
    const auto revision = watch_revision_of(ap.state, opinion.node, report.observer);
    if (revision != opinion.watch_revision) continue;
    if (std::ranges::find(node.observers, report.observer) == node.observers.end()) continue;
    HeldOpinion& held = node.opinions[report.observer];
    if (held.incarnation == report.incarnation && held.sequence >= opinion.sequence) continue;
    held = {report.incarnation, opinion.sequence, opinion.classes, ap.state.now, ap.state.wall};
    for (const ClassOpinion& c : opinion.classes) {
      if (c.ends_start) node.start_until = Time{};
    }
    ap.touched.insert(node.service);
    update_verdict(ap, opinion.node);
  }
}

std::vector<Vote> votes_of(const State& state, const NodeState& node) {
  std::vector<Vote> votes;
  for (const std::string& observer : node.observers) {
    Vote vote{.observer = observer};
    const auto held = node.opinions.find(observer);
    if (held != node.opinions.end()) {
      if (const ClassOpinion* c = find_class(held->second, node.cause_class); c != nullptr) {
        vote.opinion = c->grade;
        vote.outcome = c->outcome;
        const Duration age = c->age + (state.now - held->second.at);
        vote.age_ms = std::chrono::duration_cast<std::chrono::milliseconds>(age).count();
      }
    }
    votes.push_back(std::move(vote));
  }
  return votes;
}

}  // namespace fettle::core
