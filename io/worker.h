// Worker: one thread for work that blocks (SQLite, fsync), first in first out. The work touches
// only what it was given; its end is told on the loop that asked.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "io/loop.h"

namespace fettle::io {

class Worker {
 public:
  /// Jobs that may wait at once.
  static constexpr std::size_t kQueueMax = 65536;

  /// `name`: of its thread, as in name_thread().
  explicit Worker(const char* name);
  /// Finishes what was queued, then joins.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Runs `work` on the worker, then `done` on `home`. False if the queue is full.
  bool submit(Loop& home, std::function<void()> work, std::function<void()> done);

 private:
  struct Job {
    Loop* home = nullptr;
    std::function<void()> work;
    std::function<void()> done;
  };
  void run(const char* name);

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace fettle::io
