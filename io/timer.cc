#include "io/timer.h"

#include <algorithm>

#include "base/check.h"

namespace fettle::io {
namespace {

std::uint64_t up_to_ms(core::Duration duration) {
  const std::int64_t ns = std::max<std::int64_t>(0, duration.count());
  return static_cast<std::uint64_t>((ns + 999'999) / 1'000'000);
}

}  // namespace

Timer::Timer(Loop& loop) {
  auto raw = std::make_unique<uv_timer_t>();
  FETTLE_ASSERT(uv_timer_init(loop.raw(), raw.get()) == 0);
  raw->data = this;
  handle_ = Handle<uv_timer_t>(std::move(raw));
}

void Timer::start(core::Duration after, std::function<void()> fn) {
  fn_ = std::move(fn);
  repeating_ = false;
  // The loop's cached clock may be behind after a long callback; the wait counts from now.
  uv_update_time(handle_.get()->loop);
  uv_timer_start(
      handle_.get(),
      [](uv_timer_t* raw) {
        if (raw->data != nullptr) static_cast<Timer*>(raw->data)->fire();
      },
      up_to_ms(after), 0);
}

void Timer::start_repeating(core::Duration every, std::function<void()> fn) {
  start(every, std::move(fn));
  repeating_ = true;
  uv_timer_set_repeat(handle_.get(), std::max<std::uint64_t>(1, up_to_ms(every)));
  uv_timer_again(handle_.get());
}

void Timer::stop() {
  uv_timer_stop(handle_.get());
  fn_ = nullptr;
}

bool Timer::active() const { return uv_is_active(as_handle(handle_.get())) != 0; }

void Timer::fire() noexcept {
  if (repeating_) {
    const auto fn = fn_;  // it may stop or destroy this timer
    fn();
    return;
  }
  const auto fn = std::exchange(fn_, nullptr);
  if (fn) fn();
}

}  // namespace fettle::io
