// HttpPoster: low-rate HTTP(S) POSTs by libcurl on our loop: webhooks. Bounded in flight and in
// what it reads; names are resolved on libcurl's own thread, and a slow lookup stalls nothing.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/time.h"
#include "io/loop.h"

namespace fettle::io {

struct PostRequest {
  std::string url;
  std::vector<std::string> headers;  // `Name: value`
  std::string body;
  core::Duration connect_timeout{std::chrono::seconds(3)};
  core::Duration timeout{std::chrono::seconds(10)};
};

class HttpPoster {
 public:
  static constexpr std::size_t kInFlightMax = 64;
  static constexpr std::size_t kAnswerBytesMax = 64U * 1024;
  /// The HTTP status, or why there is none.
  using Done = std::function<void(Result<long>)>;

  explicit HttpPoster(Loop& loop);
  /// Posts under way end silently.
  ~HttpPoster();
  HttpPoster(const HttpPoster&) = delete;
  HttpPoster& operator=(const HttpPoster&) = delete;

  /// Answers exactly once, on the loop, never from within.
  void post(PostRequest request, Done done);

 private:
  struct Multi;
  std::unique_ptr<Multi> multi_;
};

}  // namespace fettle::io
