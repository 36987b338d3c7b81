#include "io/loop.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/check.h"

namespace fettle::io {

Loop::Loop() {
  FETTLE_ASSERT(uv_loop_init(&loop_) == 0);
  auto wake = std::make_unique<uv_async_t>();
  FETTLE_ASSERT(uv_async_init(&loop_, wake.get(), [](uv_async_t* handle) {
                  if (handle->data != nullptr) static_cast<Loop*>(handle->data)->drain();
                }) == 0);
  wake->data = this;
  uv_unref(as_handle(wake.get()));
  wake_ = Handle<uv_async_t>(std::move(wake));
  auto turn_end = std::make_unique<uv_prepare_t>();
  FETTLE_ASSERT(uv_prepare_init(&loop_, turn_end.get()) == 0);
  turn_end->data = this;
  uv_prepare_start(turn_end.get(), [](uv_prepare_t* handle) {
    if (handle->data != nullptr) static_cast<Loop*>(handle->data)->end_turn();
  });
  uv_unref(as_handle(turn_end.get()));
  turn_end_ = Handle<uv_prepare_t>(std::move(turn_end));
}

Loop::~Loop() {
  mailbox_.clear();
  before_waiting_.clear();
  turn_end_.reset();
  lag_timer_.reset();
  wake_.reset();
  uv_run(&loop_, UV_RUN_DEFAULT);
  FETTLE_ASSERT_MSG(uv_loop_close(&loop_) == 0, "a handle outlived its owner");
}

void Loop::run() {
  uv_ref(as_handle(wake_.get()));
  while (!stopping_.load()) uv_run(&loop_, UV_RUN_ONCE);
  end_turn();
  uv_unref(as_handle(wake_.get()));
  stopping_.store(false);
}

void Loop::run_pending() {
  while (!stopping_.load() && uv_run(&loop_, UV_RUN_ONCE) != 0) {
  }
  end_turn();
  stopping_.store(false);
}

void Loop::turn() { uv_run(&loop_, UV_RUN_NOWAIT); }

void Loop::stop() {
  stopping_.store(true);
  uv_async_send(wake_.get());
}

bool Loop::post(std::function<void()> message) {
  {
    const std::lock_guard lock(mutex_);
    if (mailbox_.size() >= kMailboxMax) return false;
    mailbox_.push_back(std::move(message));
    most_waited_ = std::max(most_waited_, mailbox_.size());
  }
  uv_async_send(wake_.get());
  return true;
}

void Loop::drain() noexcept {
  std::deque<std::function<void()>> messages;
  {
    const std::lock_guard lock(mutex_);
    messages.swap(mailbox_);
  }
  batch_left_ = messages.size();
  for (auto& message : messages) {
    --batch_left_;
    message();
  }
}

void Loop::before_waiting(std::function<void()> task) {
  before_waiting_.push_back(std::move(task));
}

void Loop::end_turn() noexcept {
  while (!before_waiting_.empty()) {
    for (const auto& task : std::exchange(before_waiting_, {})) task();
  }
}

Loop::Mailbox Loop::mailbox() {
  const std::lock_guard lock(mutex_);
  return {mailbox_.size() + batch_left_, most_waited_};
}

core::Time Loop::now() {
  timespec at{};
  clock_gettime(CLOCK_BOOTTIME, &at);
  return core::Time{static_cast<std::int64_t>(at.tv_sec) * 1'000'000'000 + at.tv_nsec};
}

core::WallTime Loop::wall_now() {
  timespec at{};
  clock_gettime(CLOCK_REALTIME, &at);
  return core::WallTime{static_cast<std::int64_t>(at.tv_sec) * 1000 + at.tv_nsec / 1'000'000};
}

void Loop::measure_lag() {
  constexpr auto kMs = std::chrono::duration_cast<std::chrono::milliseconds>(kLagInterval).count();
  auto timer = std::make_unique<uv_timer_t>();
  FETTLE_ASSERT(uv_timer_init(&loop_, timer.get()) == 0);
  timer->data = this;
  lag_due_ = now() + kLagInterval;
  uv_timer_start(
      timer.get(),
      [](uv_timer_t* handle) {
        auto* self = static_cast<Loop*>(handle->data);
        if (self == nullptr) return;
        const core::Time at = now();
        const std::int64_t lag = std::max<std::int64_t>(0, (at - self->lag_due_).count());
        self->lag_ns_.store(lag, std::memory_order_relaxed);
        self->lag_max_ns_.store(std::max(lag, self->lag_max_ns_.load(std::memory_order_relaxed)),
                                std::memory_order_relaxed);
        self->lag_due_ = at + kLagInterval;
      },
      static_cast<std::uint64_t>(kMs), static_cast<std::uint64_t>(kMs));
  uv_unref(as_handle(timer.get()));
  lag_timer_ = Handle<uv_timer_t>(std::move(timer));
}

}  // namespace fettle::io
