#include "daemon/raft_driver.h"

#include <unistd.h>

#include "base/check.h"
#include "daemon/log.h"

namespace fettle::daemon {
namespace {

/// Without anything to save for so long, the store's superblock is made durable.
constexpr core::Duration kQuiet = std::chrono::seconds(1);

raft::Instant instant_now() { return raft::Instant{io::Loop::now().ns}; }

void end_if_failed(const Status& saved) {
  if (saved) return;
  log::error("the log cannot be made durable, this member ends: " + saved.error().what);
  _exit(kExitDiskFailed);
}

}  // namespace

RaftDriver::RaftDriver(io::Loop& loop, io::Worker& disk, store::GroupStore& store,
                       raft::Config config, store::LoadedGroup loaded, RaftEvents events)
    : loop_(loop),
      disk_(disk),
      store_(store),
      events_(std::move(events)),
      timer_(loop),
      quiet_(loop),
      raft_(std::move(config),
            {std::move(loaded.hard), std::move(loaded.snapshot), std::move(loaded.entries)},
            instant_now()),
      applied_(raft_.commit_index()) {}

RaftDriver::~RaftDriver() { *alive_ = false; }

void RaftDriver::start() { arm(); }

void RaftDriver::step(raft::Input input) {
  waiting_.push_back(std::move(input));
  if (stepping_) return;
  stepping_ = true;
  while (!waiting_.empty()) {
    raft::Input next = std::move(waiting_.front());
    waiting_.pop_front();
    carry_out(raft_.step(instant_now(), std::move(next)));
  }
  stepping_ = false;
}

void RaftDriver::propose(raft::Propose proposal) {
  proposals_.push_back(std::move(proposal));
  if (proposals_.size() > 1) return;
  loop_.before_waiting([this, alive = alive_] {
    if (*alive) step(raft::ProposeAll{std::exchange(proposals_, {})});
  });
}

void RaftDriver::carry_out(raft::Output output) {
  if (output.persist) {
    unsaved_.push_back(std::move(*output.persist));
    if (!saving_) save();
  }
  if (output.configuration_changed) events_.configuration_changed();
  for (const raft::Message& message : output.send) events_.send(message);
  for (const raft::Accepted& accepted : output.accepted) events_.accepted(accepted);
  for (const raft::Rejected& rejected : output.rejected) events_.rejected(rejected);
  if (output.restore != nullptr) {
    applied_ = output.restore->meta.index;
    events_.restore(*output.restore);
  }
  for (const raft::Entry& entry : output.committed) {
    applied_ = entry.index;
    events_.apply(entry);
  }
  for (const raft::ReadDone& read : output.reads) events_.read_done(read);
  for (const raft::Transferred& transferred : output.transfers) events_.transferred(transferred);
  arm();
  events_.stepped(output.role_changed);
}

/// Group commit: what gathered while the disk was busy goes in one transaction.
void RaftDriver::save() {
  saving_ = true;
  saving_since_ = io::Loop::now();
  auto batches = std::make_shared<std::vector<raft::Persist>>(std::exchange(unsaved_, {}));
  const std::uint64_t last = batches->back().batch;
  const bool queued = disk_.submit(
      loop_, [&store = store_, batches] { end_if_failed(store.save(*batches)); },
      [this, last, began = saving_since_, alive = alive_] {
        if (!*alive) return;
        const core::Duration took = io::Loop::now() - began;
        persist_times_.observe(took);
        slowest_save_ = std::max(slowest_save_.value_or(took), took);
        saving_ = false;
        step(raft::Persisted{last});
        if (!saving_ && !unsaved_.empty()) save();
        if (!saving_) settle_when_quiet();
      });
  FETTLE_ASSERT_MSG(queued, "the disk worker's queue is full");
}

std::optional<core::Duration> RaftDriver::take_slowest_save(core::Duration patience) {
  const std::optional<core::Duration> slowest = std::exchange(slowest_save_, std::nullopt);
  const core::Duration waiting = saving_ ? io::Loop::now() - saving_since_ : core::Duration{0};
  if (waiting <= patience) return slowest;
  return std::max(slowest.value_or(waiting), waiting);
}

void RaftDriver::settle_when_quiet() {
  quiet_.start(kQuiet, [this] {
    const bool queued =
        disk_.submit(loop_, [&store = store_] { end_if_failed(store.settle()); }, [] {});
    FETTLE_ASSERT_MSG(queued, "the disk worker's queue is full");
  });
}

void RaftDriver::arm() {
  timer_.start(raft_.deadline() - instant_now(), [this] { step(raft::Tick{}); });
}

}  // namespace fettle::daemon
