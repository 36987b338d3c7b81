#include "core/judge.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/check.h"

namespace fettle::core {
namespace {

constexpr std::array kClasses = {FaultClass::Reachability, FaultClass::Service,
                                 FaultClass::Progress, FaultClass::Quality, FaultClass::Hardware};
static_assert(kClasses.back() == enum_last(FaultClass{}));

bool is_failure(Outcome outcome) {
  return outcome != Outcome::Pass && outcome != Outcome::CannotProbe;
}

bool is_bad(Verdict grade) { return grade == Verdict::Degraded || grade == Verdict::Down; }

void bump(std::uint32_t& count) {
  if (count != std::numeric_limits<std::uint32_t>::max()) ++count;
}

Time ended(const Sample& sample) { return sample.at + sample.latency; }

}  // namespace

void Judge::watch(const std::vector<Watch>& watches) {
  std::map<std::string, NodeState> kept;
  for (const Watch& watch : watches) {
    const auto old = nodes_.find(watch.node);
    if (old != nodes_.end() && old->second.revision == watch.revision) {
      kept.insert_or_assign(watch.node, std::move(old->second));
      nodes_.erase(old);
      continue;
    }
    NodeState node;
    node.host = watch.address.host;
    node.revision = watch.revision;
    for (const ProbeSpec& spec : watch.probes) node.probes.emplace_back().spec = spec;
    kept.insert_or_assign(watch.node, std::move(node));
  }
  nodes_ = std::move(kept);
  std::erase_if(turns_, [this](const Turn& turn) { return !nodes_.contains(turn.node); });
}

Judgement Judge::observe(const Sample& sample, Duration loop_lag) {
  const auto found = nodes_.find(sample.node);
  if (found == nodes_.end()) return {};
  NodeState& node = found->second;
  const auto probe = std::ranges::find_if(
      node.probes, [&](const ProbeState& p) { return p.spec.name == sample.probe; });
  if (probe == node.probes.end() || probe->spec.affects == Affects::None) return {};

  Outcome outcome = sample.outcome;
  if (is_failure(outcome) && loop_lag > kLoopLagMax) outcome = Outcome::CannotProbe;
  if (is_failure(outcome) && doubts_itself(found->first, node, *probe, sample)) {
    outcome = Outcome::CannotProbe;
  }
  const bool changed = count(*probe, sample, outcome);
  Judgement judgement;
  judgement.confirm = is_failure(outcome) && probe->failures < probe->spec.fall;
  if (!changed) return judgement;
  std::vector<ClassOpinion> reported = grade(node, Time{});
  for (ClassOpinion& c : reported) c.age = Duration{0};
  if (reported == node.reported) return judgement;
  node.reported = std::move(reported);
  node.sequence = ++sequence_;
  judgement.opinion =
      Opinion{sample.node, node.revision, node.sequence, grade(node, ended(sample))};
  return judgement;
}

bool Judge::doubts_itself(const std::string& name, const NodeState& node, ProbeState& probe,
                          const Sample& sample) {
  const Time now = ended(sample);
  while (!turns_.empty() && turns_.front().at + kMassWindow < now) turns_.pop_front();
  const bool turned = probe.ever_passed && !probe.looks_bad;
  probe.looks_bad = true;
  if (turned && std::ranges::find(turns_, name, &Turn::node) == turns_.end()) {
    turns_.push_back({now, name, node.host});
  }
  if (nodes_.size() < kMassNodesMin || turns_.size() * 2 <= nodes_.size()) return false;
  return std::ranges::any_of(turns_, [&](const Turn& t) { return t.host != turns_.front().host; });
}

/// True if the probe's part in an opinion may have changed.
bool Judge::count(ProbeState& probe, const Sample& sample, Outcome outcome) {
  if (outcome == Outcome::CannotProbe) {
    if (sample.outcome != Outcome::CannotProbe) return false;  // doubt of ourselves: no blindness
    bump(probe.blind);
    return probe.blind == probe.spec.fall;
  }
  const bool was_blind = probe.blind >= probe.spec.fall;
  probe.blind = 0;
  const bool changed =
      outcome == Outcome::Pass ? count_pass(probe, sample) : count_failure(probe, sample, outcome);
  return changed || was_blind;
}

bool Judge::count_pass(ProbeState& probe, const Sample& sample) {
  if (probe.passes == 0) probe.streak_began = sample.at;
  bump(probe.passes);
  probe.failures = probe.hard_failures = probe.same = 0;
  probe.looks_bad = false;
  const bool first = !probe.ever_passed;
  probe.ever_passed = true;
  if (probe.grade == Verdict::Healthy || probe.passes < probe.spec.rise) return first;
  probe.grade = Verdict::Healthy;
  probe.outcome = Outcome::Pass;
  probe.grade_began = probe.streak_began;
  return true;
}

bool Judge::count_failure(ProbeState& probe, const Sample& sample, Outcome outcome) {
  if (probe.failures == 0) probe.streak_began = sample.at;
  bump(probe.failures);
  if (outcome != Outcome::Slow) bump(probe.hard_failures);
  probe.passes = 0;
  probe.same = outcome == probe.latest ? probe.same : 0;
  bump(probe.same);
  probe.latest = outcome;

  const std::uint32_t fall = FETTLE_MUTANT(judge_one_failure_is_down) ? 1 : probe.spec.fall;
  if (probe.failures < fall) return false;
  const bool down = probe.spec.affects == Affects::Down && probe.hard_failures >= fall;
  const Verdict grade = down || probe.grade == Verdict::Down ? Verdict::Down : Verdict::Degraded;
  if (grade == probe.grade) {
    if (probe.outcome == outcome || probe.same < fall) return false;
    probe.outcome = outcome;
    return true;
  }
  if (!is_bad(probe.grade)) probe.grade_began = probe.streak_began;
  probe.grade = grade;
  probe.outcome = outcome;
  return true;
}

/// The worst of the class's probes; nothing if there is nothing to say about the class.
std::optional<ClassOpinion> Judge::grade_class(const NodeState& node, FaultClass fault_class,
                                               Time now) {
  ClassOpinion opinion{.fault_class = fault_class, .grade = Verdict::Healthy};
  Time began;
  bool graded = false;
  bool ungraded = false;
  for (const ProbeState& probe : node.probes) {
    if (probe.spec.fault_class != fault_class || probe.spec.affects == Affects::None) continue;
    if (probe.spec.start_period > Duration{0} && probe.ever_passed) opinion.ends_start = true;
    opinion.blind = opinion.blind || probe.blind >= probe.spec.fall;
    if (probe.grade == Verdict::Unknown) {
      ungraded = true;
      continue;
    }
    const bool worse = !graded || probe.grade > opinion.grade;
    const bool equal = graded && probe.grade == opinion.grade;
    if (worse) {
      opinion.grade = probe.grade;
      opinion.outcome = probe.outcome;
      began = probe.grade_began;
    } else if (equal) {
      // A class is bad since its first bad probe, healthy only since its last one became so.
      began = is_bad(probe.grade) ? std::min(began, probe.grade_began)
                                  : std::max(began, probe.grade_began);
    }
    graded = true;
  }
  if (graded && (is_bad(opinion.grade) || !ungraded)) {
    opinion.age = std::max(now - began, Duration{0});
    return opinion;
  }
  if (!opinion.blind) return std::nullopt;
  opinion.grade = Verdict::Unknown;
  opinion.outcome = Outcome::CannotProbe;
  return opinion;
}

std::vector<ClassOpinion> Judge::grade(const NodeState& node, Time now) {
  std::vector<ClassOpinion> classes;
  for (const FaultClass fault_class : kClasses) {
    if (auto opinion = grade_class(node, fault_class, now)) classes.push_back(*opinion);
  }
  return classes;
}

std::vector<Opinion> Judge::table(Time now) const {
  std::vector<Opinion> opinions;
  for (const auto& [name, node] : nodes_) {
    if (node.sequence == 0) continue;
    opinions.push_back({name, node.revision, node.sequence, grade(node, now)});
  }
  return opinions;
}

}  // namespace fettle::core
