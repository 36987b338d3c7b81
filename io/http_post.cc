// Happy path: post → libcurl drives sockets through uv_poll and one timer → the status is told.
// Failures: no connection, a name not found, a time-out, an answer beyond the bound (its status
// still counts), too many in flight.
#include "io/http_post.h"

#include <curl/curl.h>

#include <map>

#include "base/check.h"
#include "io/handle.h"
#include "io/timer.h"

namespace fettle::io {

struct HttpPoster::Multi {
  struct Transfer {
    CURL* easy = nullptr;
    curl_slist* headers = nullptr;
    PostRequest request;
    Done done;
    std::size_t answer_bytes = 0;
  };
  struct Watch {
    Handle<uv_poll_t> poll;
    Multi* owner = nullptr;
    curl_socket_t socket = 0;
  };

  explicit Multi(Loop& on) : loop(on), timer(on), multi(curl_multi_init()) {
    FETTLE_ASSERT(multi != nullptr);
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, &Multi::on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, &Multi::on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 16L);
  }
  ~Multi() {
    for (auto& [easy, transfer] : transfers) release(transfer);
    transfers.clear();
    curl_multi_cleanup(multi);
    watches.clear();
  }

  void release(Transfer& transfer) const {
    curl_multi_remove_handle(multi, transfer.easy);
    curl_easy_cleanup(transfer.easy);
    curl_slist_free_all(transfer.headers);
  }

  static int on_socket(CURL*, curl_socket_t socket, int what, void* self_ptr, void*) {
    auto* self = static_cast<Multi*>(self_ptr);
    if (what == CURL_POLL_REMOVE) {
      self->watches.erase(socket);
      return 0;
    }
    auto& watch = self->watches[socket];
    if (watch == nullptr) {
      watch = std::make_unique<Watch>();
      watch->owner = self;
      watch->socket = socket;
      auto raw = std::make_unique<uv_poll_t>();
      if (uv_poll_init_socket(self->loop.raw(), raw.get(), socket) != 0) return -1;
      raw->data = watch.get();
      watch->poll = Handle<uv_poll_t>(std::move(raw));
    }
    const int events =
        (what != CURL_POLL_OUT ? UV_READABLE : 0) | (what != CURL_POLL_IN ? UV_WRITABLE : 0);
    uv_poll_start(watch->poll.get(), events, [](uv_poll_t* handle, int status, int ready) {
      auto* at = static_cast<Watch*>(handle->data);
      if (at == nullptr) return;
      int flags = status < 0 ? CURL_CSELECT_ERR : 0;
      if ((ready & UV_READABLE) != 0) flags |= CURL_CSELECT_IN;
      if ((ready & UV_WRITABLE) != 0) flags |= CURL_CSELECT_OUT;
      at->owner->act(at->socket, flags);
    });
    return 0;
  }

  static int on_timer(CURLM*, long ms, void* self_ptr) {
    auto* self = static_cast<Multi*>(self_ptr);
    if (ms < 0) {
      self->timer.stop();
    } else {
      self->timer.start(std::chrono::milliseconds(ms),
                        [self] { self->act(CURL_SOCKET_TIMEOUT, 0); });
    }
    return 0;
  }

  static std::size_t on_answer(char*, std::size_t size, std::size_t count, void* transfer_ptr) {
    auto* transfer = static_cast<Transfer*>(transfer_ptr);
    transfer->answer_bytes += size * count;
    return transfer->answer_bytes > kAnswerBytesMax ? 0 : size * count;
  }

  void act(curl_socket_t socket, int flags) {
    int running = 0;
    curl_multi_socket_action(multi, socket, flags, &running);
    int left = 0;
    std::vector<std::pair<Done, Result<long>>> ended;
    while (CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      const auto found = transfers.find(message->easy_handle);
      if (found == transfers.end()) continue;
      ended.emplace_back(std::move(found->second.done), outcome(found->second, code));
      release(found->second);
      transfers.erase(found);
    }
    for (auto& [done, result] : ended) done(std::move(result));
  }

  static Result<long> outcome(const Transfer& transfer, CURLcode code) {
    long status = 0;
    curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    const bool bounded = code == CURLE_WRITE_ERROR && transfer.answer_bytes > kAnswerBytesMax;
    if (code == CURLE_OK || bounded) return status;
    const Code kind = code == CURLE_OPERATION_TIMEDOUT ? Code::Timeout : Code::Unreachable;
    return fail(kind, curl_easy_strerror(code));
  }

  Loop& loop;
  Timer timer;
  CURLM* multi;
  std::map<CURL*, Transfer> transfers;
  std::map<curl_socket_t, std::unique_ptr<Watch>> watches;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

HttpPoster::HttpPoster(Loop& loop) : multi_(std::make_unique<Multi>(loop)) {}
HttpPoster::~HttpPoster() { *multi_->alive = false; }

void HttpPoster::post(PostRequest request, Done done) {
  CURL* easy = multi_->transfers.size() < kInFlightMax ? curl_easy_init() : nullptr;
  if (easy == nullptr) {
    multi_->loop.post([alive = multi_->alive, done = std::move(done)] {
      if (*alive) done(fail(Code::Busy, "too many posts in flight"));
    });
    return;
  }
  Multi::Transfer& transfer = multi_->transfers[easy];
  transfer.easy = easy;
  transfer.request = std::move(request);
  transfer.done = std::move(done);
  for (const std::string& header : transfer.request.headers) {
    transfer.headers = curl_slist_append(transfer.headers, header.c_str());
  }
  const auto ms = [](core::Duration duration) {
    return static_cast<long>(
        std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
  };
  curl_easy_setopt(easy, CURLOPT_URL, transfer.request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_POST, 1L);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer.request.body.data());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                   static_cast<curl_off_t>(transfer.request.body.size()));
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.headers);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, ms(transfer.request.timeout));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, ms(transfer.request.connect_timeout));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Multi::on_answer);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  curl_multi_add_handle(multi_->multi, easy);
}

}  // namespace fettle::io
