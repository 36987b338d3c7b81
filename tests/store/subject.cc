#include "tests/store/subject.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/bytes.h"
#include "base/rng.h"
#include "store/group_store.h"
#include "store/host_store.h"

namespace fettle::store {
namespace {

constexpr int kCheckpointPages = 24;  // several checkpoints in a short row
constexpr std::size_t kPart = 512;    // snapshots of up to some 40 parts, in several transactions

enum class Act : std::uint8_t { Save, Fact, Settle, Reopen, Start, Forget };

std::string text(const LoadedGroup& group, const std::string& fact) {
  return encode(std::pair{group.hard, group.entries}) + "|" + fact + "|" +
         (group.snapshot ? encode(*group.snapshot) : "none");
}

/// The group's log as it should be.
struct GroupModel {
  LoadedGroup group;
  std::string fact;
  std::uint64_t batch = 0;

  std::uint64_t snapshot_index() const {
    return group.snapshot ? group.snapshot->meta.index.value : 0;
  }
  std::uint64_t last() const {
    return group.entries.empty() ? snapshot_index() : group.entries.back().index.value;
  }
  raft::Persist next(Rng& rng) {
    raft::Persist persist;
    persist.batch = ++batch;
    if (rng.chance(40)) {
      group.hard = {Term{batch}, rng.chance(50) ? "gpu" + std::to_string(batch % 3) : ""};
      persist.hard = group.hard;
    }
    if (rng.chance(25) && last() > snapshot_index()) cut(rng, persist);
    if (rng.chance(25) && last() > snapshot_index()) take_snapshot(rng, persist);
    const std::uint64_t count = persist.snapshot ? rng.between(0, 1) : rng.between(1, 3);
    for (std::uint64_t i = 0; i < count; ++i) append(rng, persist);
    return persist;
  }
  void cut(Rng& rng, raft::Persist& persist) {
    const std::uint64_t from = rng.between(snapshot_index() + 1, last());
    persist.truncate_from = Index{from};
    std::erase_if(group.entries, [&](const raft::Entry& one) { return one.index.value >= from; });
  }
  /// At the log's end or before, or, as a leader's, far beyond it.
  void take_snapshot(Rng& rng, raft::Persist& persist) {
    if (last() <= snapshot_index()) return;
    const bool leaders = rng.chance(30);
    const std::uint64_t at =
        leaders ? last() + rng.between(1, 9) : rng.between(snapshot_index() + 1, last());
    auto made = std::make_shared<raft::Snapshot>();
    made->meta = {.index = Index{at}, .term = Term{batch}};
    made->meta.configuration.servers = {{.id = "gpu" + std::to_string(batch)}};
    made->data.assign(rng.between(0, 20'000), static_cast<char>(batch));
    const std::uint64_t compact_to = leaders ? at : at - std::min<std::uint64_t>(2, at);
    persist.snapshot = made;
    persist.compact_to = Index{compact_to};
    group.snapshot = made;
    std::erase_if(group.entries,
                  [&](const raft::Entry& one) { return one.index.value <= compact_to; });
  }
  void append(Rng& rng, raft::Persist& persist) {
    raft::Entry entry{Term{batch}, Index{last() + 1}, raft::EntryKind::Command, ""};
    entry.data.assign(rng.between(0, rng.chance(20) ? 9000 : 600), static_cast<char>(batch * 7));
    persist.entries.push_back(entry);
    group.entries.push_back(std::move(entry));
  }
};

struct GroupStep {
  Act act = Act::Save;
  std::vector<raft::Persist> batches;
  std::string fact;
};

class GroupSubject final : public Subject {
 public:
  GroupSubject(std::uint64_t seed, std::size_t steps) {
    Rng rng(seed);
    GroupModel model;
    states_.push_back(text(model.group, model.fact));
    while (steps_.size() < steps) {
      GroupStep step;
      const std::uint64_t draw = rng.between(0, 99);
      if (draw < 6) {
        step.act = Act::Reopen;
      } else if (draw < 12) {
        step.act = Act::Settle;
      } else if (draw < 18) {
        step.act = Act::Fact;
        step.fact = model.fact = "fact " + std::to_string(steps_.size());
      } else {
        for (std::uint64_t i = rng.between(1, 2); i > 0; --i)
          step.batches.push_back(model.next(rng));
      }
      steps_.push_back(std::move(step));
      states_.push_back(text(model.group, model.fact));
    }
  }
  const char* name() const override { return "group.db"; }
  std::string path() const override { return "group.db"; }
  std::size_t steps() const override { return steps_.size(); }
  const std::string& state(std::size_t steps) const override { return states_.at(steps); }
  bool reopens(std::size_t n) const override { return steps_.at(n).act == Act::Reopen; }
  Result<std::unique_ptr<Opened>> open(Disk& disk) const override {
    FETTLE_TRY(auto store, GroupStore::open(path(), {.disk = &disk,
                                                     .checkpoint_pages = kCheckpointPages,
                                                     .snapshot_part_bytes = kPart}));
    return std::make_unique<Group>(*this, std::move(store));
  }

 private:
  class Group final : public Opened {
   public:
    Group(const GroupSubject& subject, std::unique_ptr<GroupStore> store)
        : subject_(subject), store_(std::move(store)) {}
    Status step(std::size_t n) override {
      const GroupStep& step = subject_.steps_.at(n);
      if (step.act == Act::Settle) return store_->settle();
      if (step.act == Act::Fact) return store_->set_meta("fact", step.fact);
      return store_->save(step.batches);
    }
    Result<std::string> load() override {
      FETTLE_TRY(const LoadedGroup loaded, store_->load());
      FETTLE_TRY(const auto fact, store_->meta("fact"));
      return text(loaded, fact.value_or(""));
    }

   private:
    const GroupSubject& subject_;
    std::unique_ptr<GroupStore> store_;
  };

  std::vector<GroupStep> steps_;
  std::vector<std::string> states_;
};

struct HostStep {
  Act act = Act::Save;
  std::vector<core::executor::Journal> writes;
  Index below;
  std::uint64_t starts = 0;  // at least so many, this one included
};

struct HostModel {
  std::uint64_t generation = 1;
  Term term;
  std::uint64_t starts = 0;
  std::uint64_t runs = 0;
  std::map<std::pair<std::uint64_t, std::string>, core::JournalEntry> journal;

  std::string text() const {
    std::string all;
    for (const auto& [place, entry] : journal) all += encode(entry);
    return all + "|" + std::to_string(generation) + "/" + std::to_string(term.value);
  }
  void put(core::JournalEntry entry) {
    const std::string key = core::to_string(entry.key);
    std::erase_if(journal, [&](const auto& one) { return one.first.second == key; });
    const std::uint64_t index = entry.fence.index.value;
    journal.insert_or_assign({index, key}, std::move(entry));
  }
  core::executor::Journal next(Rng& rng) {
    if (rng.chance(15)) term = next_term();
    core::executor::Journal write{.entry = std::nullopt, .generation = generation, .term = term};
    if (rng.chance(20)) return write;
    core::JournalEntry entry;
    if (!journal.empty() && rng.chance(40)) {
      entry = std::next(journal.begin(),
                        static_cast<std::ptrdiff_t>(rng.between(0, journal.size() - 1)))
                  ->second;
      entry.result =
          core::TaskResult{.state = core::TaskState::Done, .text = "maint", .output = {}};
    } else {
      entry.key = {.generation = 1, .run = RunId{++runs}, .step = 0, .attempt = 1, .host = "gpu1"};
      entry.fence = {.generation = generation, .term = term, .index = Index{runs * 3}};
      entry.action = "traffic.isolate";
      entry.resource.assign(rng.between(0, 1500), 'r');
    }
    put(entry);
    write.entry = std::move(entry);
    return write;
  }
  Term next_term() const { return Term{term.value + 1}; }
};

class HostSubject final : public Subject {
 public:
  HostSubject(std::uint64_t seed, std::size_t steps) {
    Rng rng(seed);
    HostModel model;
    states_.push_back(model.text());
    while (steps_.size() < steps) {
      HostStep step;
      const std::uint64_t draw = rng.between(0, 99);
      if (draw < 6) {
        step.act = Act::Reopen;
      } else if (draw < 12) {
        step.act = Act::Start;
        step.starts = ++model.starts;
      } else if (draw < 18) {
        step.act = Act::Forget;
        step.below = Index{model.runs * 3 / 2};
        std::erase_if(model.journal,
                      [&](const auto& one) { return one.first.first < step.below.value; });
      } else {
        for (std::uint64_t i = rng.between(1, 3); i > 0; --i)
          step.writes.push_back(model.next(rng));
      }
      steps_.push_back(std::move(step));
      states_.push_back(model.text());
    }
  }
  const char* name() const override { return "host.db"; }
  std::string path() const override { return "host.db"; }
  std::size_t steps() const override { return steps_.size(); }
  const std::string& state(std::size_t steps) const override { return states_.at(steps); }
  bool reopens(std::size_t n) const override { return steps_.at(n).act == Act::Reopen; }
  Result<std::unique_ptr<Opened>> open(Disk& disk) const override {
    FETTLE_TRY(auto store,
               HostStore::open(path(), {.disk = &disk, .checkpoint_pages = kCheckpointPages}));
    return std::make_unique<Host>(*this, std::move(store));
  }

 private:
  class Host final : public Opened {
   public:
    Host(const HostSubject& subject, std::unique_ptr<HostStore> store)
        : subject_(subject), store_(std::move(store)) {}
    Status step(std::size_t n) override {
      const HostStep& step = subject_.steps_.at(n);
      if (step.act == Act::Forget) return store_->forget_below(step.below);
      if (step.act != Act::Start) return store_->save(step.writes);
      FETTLE_TRY(const std::uint64_t starts, store_->count_start());
      if (starts < step.starts) return fail(Code::Corrupt, "a start was forgotten");
      return {};
    }
    Result<std::string> load() override {
      FETTLE_TRY(const LoadedHost loaded, store_->load());
      std::string all;
      for (const core::JournalEntry& entry : loaded.journal) all += encode(entry);
      return all + "|" + std::to_string(loaded.generation) + "/" +
             std::to_string(loaded.term.value);
    }

   private:
    const HostSubject& subject_;
    std::unique_ptr<HostStore> store_;
  };

  std::vector<HostStep> steps_;
  std::vector<std::string> states_;
};

}  // namespace

std::unique_ptr<Subject> group_subject(std::uint64_t seed, std::size_t steps) {
  return std::make_unique<GroupSubject>(seed, steps);
}
std::unique_ptr<Subject> host_subject(std::uint64_t seed, std::size_t steps) {
  return std::make_unique<HostSubject>(seed, steps);
}

Ran run_from(const Subject& subject, FaultDisk& disk, std::unique_ptr<Subject::Opened>& opened,
             std::size_t first) {
  Ran ran;
  const auto open = [&]() -> Status {
    const bool before = disk.struck();
    opened.reset();
    if (disk.struck() && !before) ran.struck_closing = true;
    FETTLE_TRY(opened, subject.open(disk));
    return {};
  };
  if (const Status done = opened ? Status{} : open(); !done) ran.error = done.error().what;
  for (std::size_t n = first; n < subject.steps() && ran.error.empty(); ++n) {
    const Status done = subject.reopens(n) ? open() : opened->step(n);
    if (done) ran.marks.push_back(disk.ops().size());
    if (!done) ran.error = done.error().what;
  }
  return ran;
}

Ran run(const Subject& subject, FaultDisk& disk, std::unique_ptr<Subject::Opened>* keep_open) {
  std::unique_ptr<Subject::Opened> opened;
  Ran ran = run_from(subject, disk, opened, 0);
  if (keep_open != nullptr) *keep_open = std::move(opened);
  return ran;
}

Verdict judge(const Subject& subject, FaultDisk& disk, std::size_t acknowledged, bool go_on) {
  const auto refused = [&](const std::string& what) -> Verdict {
    if (what.find(subject.path()) != std::string::npos) return {Judgement::Refused, what};
    return {Judgement::Lost, "refused without naming the file: " + what};
  };
  auto opened = subject.open(disk);
  if (!opened) return refused(opened.error().what);
  const auto loaded = (*opened)->load();
  if (!loaded) return refused(loaded.error().what);
  std::size_t fits = acknowledged;
  if (*loaded != subject.state(fits) && fits < subject.steps()) ++fits;
  if (*loaded != subject.state(fits)) return {Judgement::Lost, "another state"};
  if (!go_on) return {Judgement::Recovered, "", fits};
  const Ran rest = run_from(subject, disk, *opened, fits);
  if (!rest.error.empty()) return {Judgement::Lost, "does not go on: " + rest.error};
  opened->reset();
  opened = subject.open(disk);
  if (!opened) return {Judgement::Lost, "does not open again: " + opened.error().what};
  const auto last = (*opened)->load();
  if (!last) return {Judgement::Lost, "does not load again: " + last.error().what};
  if (*last != subject.state(subject.steps())) return {Judgement::Lost, "another state later"};
  return {Judgement::Recovered, "", fits};
}

}  // namespace fettle::store
