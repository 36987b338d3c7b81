// Handle<Raw>: the one owner of a libuv handle. Destroying it is the cancel: the handle is closed,
// its box is freed in the close callback, and a late callback finds nobody (`data` is cut). Casts
// between libuv's handle types stand here and nowhere else.
#pragma once

#include <uv.h>

#include <memory>
#include <utility>

namespace fettle::io {

template <typename Raw>
uv_handle_t* as_handle(Raw* raw) {
  return reinterpret_cast<uv_handle_t*>(raw);
}
template <typename Raw>
uv_stream_t* as_stream(Raw* raw) {
  return reinterpret_cast<uv_stream_t*>(raw);
}

template <typename Raw>
class Handle {
 public:
  Handle() = default;
  /// `open` was initialised by its uv_*_init.
  explicit Handle(std::unique_ptr<Raw> open) : raw_(std::move(open)) {}
  Handle(Handle&&) noexcept = default;
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      raw_ = std::move(other.raw_);
    }
    return *this;
  }
  ~Handle() { reset(); }

  Raw* get() const noexcept { return raw_.get(); }
  explicit operator bool() const noexcept { return raw_ != nullptr; }

  void reset() noexcept {
    Raw* raw = raw_.release();
    if (raw == nullptr) return;
    raw->data = nullptr;
    uv_close(as_handle(raw), [](uv_handle_t* h) { delete reinterpret_cast<Raw*>(h); });
  }

 private:
  std::unique_ptr<Raw> raw_;
};

}  // namespace fettle::io
