#include "io/worker.h"

#include <utility>

#include "base/check.h"
#include "io/service.h"

namespace fettle::io {

Worker::Worker(const char* name) : thread_([this, name] { run(name); }) {}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_one();
  thread_.join();
}

bool Worker::submit(Loop& home, std::function<void()> work, std::function<void()> done) {
  {
    const std::lock_guard lock(mutex_);
    if (jobs_.size() >= kQueueMax) return false;
    jobs_.push_back({&home, std::move(work), std::move(done)});
  }
  ready_.notify_one();
  return true;
}

void Worker::run(const char* name) {
  name_thread(name);
  std::unique_lock lock(mutex_);
  while (true) {
    ready_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job.work();
    FETTLE_ASSERT_MSG(job.home->post(std::move(job.done)), "the mailbox of a loop is full");
    lock.lock();
  }
}

}  // namespace fettle::io
