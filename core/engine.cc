#include "core/engine.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "core/apply_spec.h"
#include "core/applying.h"
#include "core/codec.h"
#include "core/drift.h"
#include "core/incidents.h"
#include "core/kv.h"
#include "core/lease.h"
#include "core/level.h"
#include "core/limits.h"
#include "core/liveness.h"
#include "core/members.h"
#include "core/runs.h"
#include "core/troubles.h"
#include "core/verdicts.h"
#include "core/weigh.h"

namespace fettle::core {
namespace {

template <typename... F>
struct overloaded : F... {
  using F::operator()...;
};

ClientAnswer refused(Code code, std::string text) {
  return {.ok = false, .code = code, .text = std::move(text)};
}

void touch_all(Applying& ap) {
  for (const ServiceSpec& service : ap.state.spec.services) ap.touched.insert(service.name);
}

ClientAnswer found_group(Applying& ap, const command::Found& command) {
  if (!ap.state.cluster.empty()) return {.text = "already founded"};
  ap.state.cluster = command.cluster;
  for (const MemberFacts& voter : command.voters) ap.state.members.emplace(voter.name, voter);
  return {.text = command.cluster};
}

PlaybookSpec person_playbook(const std::string& action) {
  const bool isolate = action == "traffic.isolate";
  PlaybookSpec playbook = builtin_playbook(isolate ? Verdict::Down : Verdict::Healthy);
  playbook.name = isolate ? "operator-isolate" : "operator-restore";
  return playbook;
}

std::string said_by(const std::string& by, const std::string& reason) {
  return "by " + (by.empty() ? "an operator" : by) + (reason.empty() ? "" : ": " + reason);
}

/// The person's run that is already at it, so that asking twice neither cancels nor repeats it.
const Run* already_at_it(const State& state, const std::string& node, const std::string& action) {
  for (const auto& [id, run] : state.runs) {
    const bool same = run.node == node && run.by_person && !is_over(run.state) && !run.cancelling;
    if (same && run.playbook.steps.front().action == action) return &run;
  }
  return nullptr;
}

ClientAnswer person_acts(Applying& ap, const std::string& name, const std::string& action,
                         const std::string& why, bool force) {
  if (const Run* run = already_at_it(ap.state, name, action); run != nullptr) {
    return {.text = "run " + std::to_string(run->id.value) + " is already at it",
            .number = run->id.value};
  }
  cancel_runs_of(ap, name, why);
  const RunId run = start_run(ap, {.playbook = person_playbook(action),
                                   .node = name,
                                   .by_person = true,
                                   .force = force,
                                   .reason = why});
  return {.text = "run " + std::to_string(run.value), .number = run.value};
}

Result<const NodeState*> steerable(const Applying& ap, const std::string& name) {
  const auto found = ap.state.nodes.find(name);
  if (found == ap.state.nodes.end()) return fail(Code::NotFound, "no node named " + name);
  const ServiceSpec* service = ap.service(found->second.service);
  if (service == nullptr || service->traffic.kind.empty()) {
    return fail(Code::Conflict, name + "'s service has no traffic to steer");
  }
  return &found->second;
}

ClientAnswer isolate(Applying& ap, const command::Isolate& command) {
  const auto node = steerable(ap, command.node);
  if (!node) return refused(node.error().code, node.error().what);
  if ((*node)->admin == Admin::Isolated && (*node)->owner == Owner::Person) {
    return {.text = command.node + " is already isolated"};
  }
  if (!command.force) {
    const auto reasons = why_not_order_isolation(ap.state, command.node);
    if (!reasons.empty()) return refused(Code::Conflict, reasons.front());
  }
  return person_acts(ap, command.node, "traffic.isolate",
                     "isolated " + said_by(command.by, command.reason), command.force);
}

ClientAnswer restore(Applying& ap, const command::Restore& command) {
  const auto node = steerable(ap, command.node);
  if (!node) return refused(node.error().code, node.error().what);
  if ((*node)->admin == Admin::InService && !(*node)->isolation_in_doubt) {
    return {.text = command.node + " is already in service"};
  }
  if (auto why = why_not_restore(ap.state, command.node)) return refused(Code::Conflict, *why);
  return person_acts(ap, command.node, "traffic.restore",
                     "restored " + said_by(command.by, command.reason), false);
}

Result<Run*> run_called(Applying& ap, RunId id) {
  const auto found = ap.state.runs.find(id);
  if (found == ap.state.runs.end()) {
    return fail(Code::NotFound, "no run " + std::to_string(id.value));
  }
  return &found->second;
}

ClientAnswer cancel(Applying& ap, const command::Cancel& command) {
  const auto run = run_called(ap, command.run);
  if (!run) return refused(run.error().code, run.error().what);
  const std::string name = "run " + std::to_string(command.run.value);
  if (is_over((*run)->state)) {
    return refused(Code::Conflict, name + " is over: it " + std::string(to_string((*run)->state)));
  }
  (*run)->cancelled_by_person = true;
  cancel_run(ap, command.run, "cancelled " + said_by(command.by, command.reason));
  ap.touched.insert((*run)->service);
  return {.text = is_over((*run)->state) ? name + " is cancelled" : name + " is being cancelled",
          .number = command.run.value};
}

/// Goes on from the step that the run ended at; the limits hold as for any run.
ClientAnswer retry(Applying& ap, const command::Retry& command) {
  const auto found = run_called(ap, command.run);
  if (!found) return refused(found.error().code, found.error().what);
  const Run& old = **found;
  const std::string name = "run " + std::to_string(command.run.value);
  if (old.state != RunState::Failed && old.state != RunState::Cancelled) {
    return refused(Code::Conflict, name + " is " + std::string(to_string(old.state)) +
                                       "; only one that failed or was cancelled is tried again");
  }
  if (!ap.state.nodes.contains(old.node)) {
    return refused(Code::NotFound, "no node named " + old.node);
  }
  for (const auto& [id, run] : ap.state.runs) {
    if (run.node != old.node || is_over(run.state)) continue;
    return refused(Code::Conflict,
                   "run " + std::to_string(id.value) + " is at " + old.node + " already");
  }
  const bool isolates =
      old.step < old.steps.size() && old.steps[old.step].action == "traffic.isolate";
  if (old.by_person && !old.force && isolates) {
    const auto reasons = why_not_order_isolation(ap.state, old.node);
    if (!reasons.empty()) return refused(Code::Conflict, reasons.front());
  }
  RunOrder order{.playbook = old.playbook,
                 .node = old.node,
                 .by_person = old.by_person,
                 .force = old.force,
                 .reason = "run " + std::to_string(old.id.value) + " tried again " +
                           said_by(command.by, command.reason)};
  order.hosts = old.hosts;
  order.first_step = std::min<std::uint32_t>(
      old.step, static_cast<std::uint32_t>(order.playbook.steps.size()) - 1);
  const RunId id = start_run(ap, std::move(order));
  return {.text = "run " + std::to_string(id.value), .number = id.value};
}

ClientAnswer freeze(Applying& ap, const command::Freeze& command) {
  if (command.length.count() <= 0) return refused(Code::Invalid, "a freeze needs a length");
  if (!command.service.empty() && ap.service(command.service) == nullptr) {
    return refused(Code::NotFound, "no service named " + command.service);
  }
  std::erase_if(ap.state.freezes,
                [&](const FreezeState& f) { return f.service == command.service; });
  const auto length_ms = std::chrono::duration_cast<std::chrono::milliseconds>(command.length);
  ap.state.freezes.push_back({command.service, ap.state.now + command.length,
                              WallTime{ap.state.wall.ms + length_ms.count()}, command.by,
                              command.reason});
  touch_all(ap);
  return {.text = *frozen(ap.state, command.service)};
}

ClientAnswer unfreeze(Applying& ap, const command::Unfreeze& command) {
  const auto gone = std::erase_if(
      ap.state.freezes, [&](const FreezeState& f) { return f.service == command.service; });
  touch_all(ap);
  if (gone == 0) return {.text = "nothing was frozen"};
  return {.text = "unfrozen"};
}

ClientAnswer alert_finished(Applying& ap, const command::AlertFinished& command) {
  const auto found = ap.state.outbox.find(command.key);
  if (found == ap.state.outbox.end()) return {};
  const Alert alert = found->second;
  ap.state.outbox.erase(found);
  const std::string kind = command.delivered ? "alert.sent" : "alert.failed";
  note(ap, alert.incident, kind,
       alert.receiver + ": " + alert.key + (command.reason.empty() ? "" : ": " + command.reason));
  ap.happened({.kind = kind,
               .incident = alert.incident,
               .value = alert.receiver,
               .reason = alert.key + (command.reason.empty() ? "" : ": " + command.reason)});
  return {};
}

/// Time has moved: freezes end, start periods end.
void pass_time(Applying& ap) {
  const auto thawed = std::erase_if(ap.state.freezes,
                                    [&](const FreezeState& f) { return f.until <= ap.state.now; });
  if (thawed > 0) touch_all(ap);
  for (auto& [name, node] : ap.state.nodes) {
    if (node.start_until.ns == 0 || node.start_until > ap.state.now) continue;
    node.start_until = Time{};
    ap.touched.insert(node.service);
    update_verdict(ap, name);
  }
}

/// Weighs every node of the touched services; acting may touch more, so until nothing does.
void settle(Applying& ap) {
  std::vector<RunId> orphans;  // of nodes that left the spec: they only wait to be closed
  for (const auto& [id, run] : ap.state.runs) {
    if (!is_over(run.state) && !ap.state.nodes.contains(run.node)) orphans.push_back(id);
  }
  for (const RunId id : orphans) continue_run(ap, id);
  constexpr int kRoundsMax = 8;
  for (int round = 0; round < kRoundsMax && !ap.touched.empty(); ++round) {
    const auto touched = std::exchange(ap.touched, {});
    for (const std::string& service : touched) {
      const ServiceSpec* spec = ap.service(service);
      if (spec == nullptr) continue;
      update_panic(ap, service);
      // What is out at a director counts before anything is decided.
      for (const NodeSpec& node : spec->nodes) reconcile(ap, node.name);
      for (const NodeSpec& node : spec->nodes) {
        weigh(ap, node.name);
        update_blind(ap, node.name);
        alert_if_due(ap, node.name);
        resolve_if_over(ap, node.name);
      }
    }
  }
}

}  // namespace

Engine::Engine(std::vector<KindSpec> actions, std::uint32_t supported) : supported_(supported) {
  for (KindSpec& kind : actions) {
    const std::string name = kind.name;
    actions_.emplace(name, std::move(kind));
  }
}

ClientAnswer Engine::carry_out(Applying& ap, const Command& command) {
  if (auto why = why_not_command(ap.state, command)) return refused(Code::Refused, *why);
  return std::visit(overloaded{
                        [&](const command::Found& c) { return found_group(ap, c); },
                        [&](const command::SetFacts& c) { return set_facts(ap, c); },
                        [&](const command::ApplySpec& c) { return apply_spec(ap, c); },
                        [&](const command::ReportOpinions& c) {
                          take_opinions(ap, c);
                          return ClientAnswer{};
                        },
                        [&](const command::TaskFinished& c) {
                          task_finished(ap, c);
                          return ClientAnswer{};
                        },
                        [&](const command::Wake&) {
                          touch_all(ap);
                          return ClientAnswer{};
                        },
                        [&](const command::Isolate& c) { return isolate(ap, c); },
                        [&](const command::Restore& c) { return restore(ap, c); },
                        [&](const command::Freeze& c) { return freeze(ap, c); },
                        [&](const command::Unfreeze& c) { return unfreeze(ap, c); },
                        [&](const command::AlertFinished& c) { return alert_finished(ap, c); },
                        [&](const command::ReportDirectors& c) {
                          take_directors(ap, c);
                          return ClientAnswer{};
                        },
                        [&](const command::Cancel& c) { return cancel(ap, c); },
                        [&](const command::Retry& c) { return retry(ap, c); },
                        [&](const command::RaiseLevel& c) { return raise_level(ap, c); },
                        [&](const command::KvPut& c) { return kv_put(ap, c); },
                        [&](const command::KvDelete& c) { return kv_delete(ap, c); },
                        [&](const command::LeaseGrant& c) { return lease_grant(ap, c); },
                        [&](const command::LeaseRenew& c) { return lease_renew(ap, c); },
                        [&](const command::LeaseRelease& c) { return lease_release(ap, c); },
                        [&](const command::MemberLost& c) { return member_lost(ap, c); },
                        [&](const command::MemberBack& c) { return member_back(ap, c); },
                        [&](const command::StateHash&) { return ClientAnswer{}; },
                        [&](const command::UpdateMembers& c) { return update_members(ap, c); },
                        [&](const command::RemoveAgent& c) { return remove_agent(ap, c); },
                    },
                    command);
}

Applied Engine::apply(Index index, const LogEntry& entry) {
  FETTLE_ASSERT_MSG(index > state_.applied, "entries are applied in order, once");
  if (auto why = why_halt(index, entry)) return {.halt = std::move(why)};
  const Index before = state_.applied;
  const Time due = falls_due();  // by the clock as it was: no entry may step over what it reaches
  due_.reset();
  state_.applied = index;
  state_.now = std::max(state_.now, entry.stamp);
  state_.wall = std::max(state_.wall, entry.wall);
  Applied applied;
  if (auto answered = client_table_.answered(state_, entry.client)) {
    applied.answer = std::move(*answered);
    stepped_over_ = stepped_over_ || due <= state_.now;
    hash_if_due(before, applied);
    return applied;
  }
  Applying ap{.state = state_,
              .actions = actions_,
              .index = index,
              .effects = applied.effects,
              .ring = ring_};
  if (due <= state_.now) {
    pass_time(ap);
    touch_all(ap);
  }
  if (due <= state_.now || std::holds_alternative<command::Wake>(entry.command)) {
    stepped_over_ = false;
  }
  applied.answer = carry_out(ap, entry.command);
  settle(ap);
  client_table_.keep(state_, entry.client, applied.answer);
  hash_if_due(before, applied);
  return applied;
}

Applied Engine::configure(Index index, const std::vector<std::string>& servers) {
  FETTLE_ASSERT_MSG(index > state_.applied, "entries are applied in order, once");
  Applied applied;
  due_.reset();
  state_.applied = index;
  if (state_.level < kLevel2 || state_.cluster.empty()) return applied;
  Applying ap{.state = state_,
              .actions = actions_,
              .index = index,
              .effects = applied.effects,
              .ring = ring_};
  configure_members(ap, servers);
  settle(ap);
  return applied;
}

void Engine::keep_only(Index index, const std::string& survivor, std::uint64_t generation_seen) {
  FETTLE_ASSERT_MSG(index > state_.applied, "entries are applied in order, once");
  std::vector<Effect> effects;
  due_.reset();
  state_.applied = index;
  Applying ap{
      .state = state_, .actions = actions_, .index = index, .effects = effects, .ring = ring_};
  core::keep_only(ap, survivor, generation_seen);
}

std::optional<std::string> Engine::why_halt(Index index, const LogEntry& entry) const {
  const std::uint32_t level = std::max(entry.level, level_of(entry.command));
  if (level > supported_ && !FETTLE_MUTANT(core_level_beyond_applied)) {
    return "entry " + std::to_string(index.value) + ": " + beyond_level(level, supported_);
  }
  const auto* told = std::get_if<command::StateHash>(&entry.command);
  if (told == nullptr) return std::nullopt;
  const auto own = hashes_.find(told->index);
  if (own == hashes_.end() || own->second == told->hash) return std::nullopt;
  return "this member's state at index " + std::to_string(told->index.value) +
         " is not the leader's: it hashes to " + std::to_string(own->second) + ", not " +
         std::to_string(told->hash);
}

void Engine::hash_if_due(Index before, Applied& applied) {
  const Index index = state_.applied;
  if (state_.level < kLevel2 || before.value / kHashEvery == index.value / kHashEvery) return;
  const std::uint64_t hash = digest();
  hashes_.emplace(index, hash);
  if (hashes_.size() > kHashesKept) hashes_.erase(hashes_.begin());
  applied.effects.emplace_back(effect::HashDue{index, hash});
}

std::vector<Effect> Engine::outstanding() const {
  std::vector<Effect> effects;
  for (const auto& [id, run] : state_.runs) {
    if (is_over(run.state) || run.step >= run.steps.size()) continue;
    const StepProgress& step = run.steps[run.step];
    for (const TaskProgress& part : step.tasks) {
      if (part.state != TaskState::Open) continue;
      if (run.cancelling) {
        effects.emplace_back(effect::Cancel{part.task.key, part.task.fence, run.cancel_reason});
        continue;
      }
      Task task = part.task;
      task.remaining = std::max(Duration{0}, step.deadline - state_.now);
      effects.emplace_back(effect::Perform{std::move(task)});
    }
  }
  for (const auto& [key, alert] : state_.outbox) effects.emplace_back(effect::Deliver{key});
  return effects;
}

Time Engine::next_wake() const { return stepped_over_ ? state_.now : falls_due(); }

Time Engine::falls_due() const {
  if (!due_) due_ = find_due();
  return *due_;
}

Time Engine::find_due() const {
  Time due = kNever;
  for (const FreezeState& freeze : state_.freezes) due = std::min(due, freeze.until);
  for (const auto& [id, run] : state_.runs) due = std::min(due, run_due(state_, run));
  for (const auto& [id, incident] : state_.incidents) {
    due = std::min(due, alert_due(state_, incident));
  }
  for (const auto& [name, node] : state_.nodes) {
    if (node.start_until.ns != 0) due = std::min(due, node.start_until);
    due = std::min(due, weigh_due(state_, name, node));
    due = std::min(due, blind_due(state_, name, node));
  }
  return due;
}

std::vector<Watch> Engine::watches(const std::string& member) const {
  auto all = watches(std::set<std::string>{member});
  return all.empty() ? std::vector<Watch>{} : std::move(all.begin()->second);
}

std::map<std::string, std::vector<Watch>> Engine::watches(
    const std::set<std::string>& members) const {
  std::map<std::string, std::vector<Watch>> all;
  for (const ServiceSpec& service : state_.spec.services) {
    for (const NodeSpec& node : service.nodes) {
      for (const std::string& observer : state_.nodes.at(node.name).observers) {
        if (!members.contains(observer)) continue;
        all[observer].push_back({service.name, node.name, node.address,
                                 watch_revision_of(state_, node.name, observer),
                                 service.confirm_gap, service.probes});
      }
    }
  }
  return all;
}

std::vector<DirectorWatch> Engine::director_watches(const std::string& member) const {
  return core::director_watches(state_, member);
}

std::uint64_t Engine::digest() const { return stable_hash(encode(state_)); }

std::string Engine::save() const {
  const bool no_clients = FETTLE_MUTANT(core_client_table_not_in_snapshot);
  const bool no_outbox = FETTLE_MUTANT(core_outbox_not_in_snapshot);
  if (!no_clients && !no_outbox) return encode(state_);
  State partial = state_;
  if (no_clients) partial.clients.clear();
  if (no_outbox) partial.outbox.clear();
  return encode(partial);
}

Status Engine::load(std::string_view bytes) {
  State head;
  Reader reader(bytes);
  reader(head.now, head.wall, head.applied, head.level);
  if (head.level > supported_) return fail(Code::Refused, beyond_level(head.level, supported_));
  FETTLE_TRY(state_, decode<State>(bytes));
  due_.reset();
  hashes_.clear();
  client_table_.load(state_);
  return {};
}

}  // namespace fettle::core
