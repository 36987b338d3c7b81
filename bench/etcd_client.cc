// One gRPC call an attempt: etcdserverpb.KV/Put, its protobuf encoded by hand (two fields).
// Happy path: HEADERS, DATA → … → trailers with grpc-status 0 → the stream closes → answered.
// Failures: another grpc-status, the stream reset, the connection gone: answered with "no".
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <vector>

#include "base/check.h"
#include "bench/member.h"
#include "io/stream.h"

namespace fettle::bench {
namespace {

/// A length-delimited protobuf field.
std::string field(int number, std::string_view bytes) {
  std::string text(1, static_cast<char>(number << 3 | 2));
  std::size_t size = bytes.size();
  for (; size >= 0x80; size >>= 7) text += static_cast<char>((size & 0x7f) | 0x80);
  text += static_cast<char>(size);
  return text.append(bytes);
}

/// A PutRequest{key, value} as a gRPC message: not compressed, its length, its bytes.
std::string put_message(std::string_view key) {
  const std::string request = field(1, key) + field(2, std::string(kValueBytes, 'v'));
  std::string message(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) {
    message += static_cast<char>(request.size() >> shift & 0xff);
  }
  return message + request;
}

nghttp2_nv header(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

class Session {
 public:
  Session(io::Loop& loop, const std::string& socket, Answered answered)
      : stream_(loop), answered_(std::move(answered)) {
    nghttp2_session_callbacks* callbacks = nullptr;
    FETTLE_ASSERT(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                      std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                      std::uint8_t, void* self) {
          static_cast<Session*>(self)->take_header(
              frame->hd.stream_id, {reinterpret_cast<const char*>(name), name_size},
              {reinterpret_cast<const char*>(value), value_size});
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session*, std::int32_t id, std::uint32_t, void* self) {
          static_cast<Session*>(self)->closed(id);
          return 0;
        });
    FETTLE_ASSERT(nghttp2_session_client_new(&session_, callbacks, this) == 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
    stream_.connect_unix(socket, {.on_open = [] {},
                                  .on_data = [this](std::string_view bytes) { heard(bytes); },
                                  .on_end = [this](io::End, const std::string&) { ended(); }});
  }
  ~Session() { nghttp2_session_del(session_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  bool dead() const { return dead_; }

  void put(std::uint64_t attempt, std::string_view key) {
    const std::array headers{header(":method", "POST"),
                             header(":scheme", "http"),
                             header(":authority", "localhost"),
                             header(":path", "/etcdserverpb.KV/Put"),
                             header("content-type", "application/grpc"),
                             header("te", "trailers")};
    auto call = std::make_unique<Call>(Call{attempt, put_message(key)});
    const nghttp2_data_provider body{
        {.ptr = call.get()},
        [](nghttp2_session*, std::int32_t, std::uint8_t* into, std::size_t size,
           std::uint32_t* flags, nghttp2_data_source* source, void*) -> ssize_t {
          auto& from = *static_cast<Call*>(source->ptr);
          const std::size_t part = std::min(size, from.message.size() - from.sent);
          std::memcpy(into, from.message.data() + from.sent, part);
          from.sent += part;
          if (from.sent == from.message.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
          return static_cast<ssize_t>(part);
        }};
    const std::int32_t id =
        nghttp2_submit_request(session_, nullptr, headers.data(), headers.size(), &body, nullptr);
    FETTLE_ASSERT_MSG(id > 0, "a session outlives its stream ids");
    calls_.emplace(id, std::move(call));
    if (!receiving_) flush();
  }

  bool give_up(std::uint64_t attempt) {
    for (auto& [id, call] : calls_) {
      if (call->attempt != attempt) continue;
      call->given_up = true;
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
      if (!receiving_) flush();
      return true;
    }
    return false;
  }

 private:
  struct Call {
    std::uint64_t attempt;
    std::string message;
    std::size_t sent = 0;
    bool ok = false;
    bool given_up = false;
  };

  void heard(std::string_view bytes) {
    receiving_ = true;
    const ssize_t took = nghttp2_session_mem_recv(
        session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    receiving_ = false;
    if (took < 0) {
      stream_.reset();
      return ended();
    }
    flush();
  }

  void flush() {
    const std::uint8_t* part = nullptr;
    for (ssize_t size = 1; size > 0;) {
      size = nghttp2_session_mem_send(session_, &part);
      if (size > 0)
        out_.append(reinterpret_cast<const char*>(part), static_cast<std::size_t>(size));
    }
    stream_.write(out_);
    out_.clear();
  }

  void take_header(std::int32_t id, std::string_view name, std::string_view value) {
    const auto call = calls_.find(id);
    if (call != calls_.end() && name == "grpc-status") call->second->ok = value == "0";
  }

  void closed(std::int32_t id) {
    const auto call = calls_.extract(id);
    if (!call.empty() && !call.mapped()->given_up) {
      answered_(call.mapped()->attempt, call.mapped()->ok);
    }
  }

  void ended() {
    dead_ = true;
    for (const auto& [id, call] : std::exchange(calls_, {})) {
      if (!call->given_up) answered_(call->attempt, false);
    }
  }

  io::Stream stream_;
  Answered answered_;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, std::unique_ptr<Call>> calls_;
  std::string out_;
  bool receiving_ = false;
  bool dead_ = false;
};

class EtcdClient final : public MemberClient {
 public:
  EtcdClient(io::Loop& loop, std::string socket, std::size_t connections, Answered answered)
      : loop_(loop),
        socket_(std::move(socket)),
        answered_(std::move(answered)),
        sessions_(connections) {}

  void put(std::uint64_t attempt, std::string_view key) override {
    std::unique_ptr<Session>& session = sessions_[next_++ % sessions_.size()];
    if (session == nullptr || session->dead()) {
      session = std::make_unique<Session>(loop_, socket_, answered_);
    }
    session->put(attempt, key);
  }

  void give_up(std::uint64_t attempt) override {
    for (const auto& session : sessions_) {
      if (session != nullptr && session->give_up(attempt)) return;
    }
  }

 private:
  io::Loop& loop_;
  std::string socket_;
  Answered answered_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::size_t next_ = 0;
};

}  // namespace

std::unique_ptr<MemberClient> make_etcd_client(io::Loop& loop, std::string socket,
                                               std::size_t connections, Answered answered) {
  return std::make_unique<EtcdClient>(loop, std::move(socket), connections, std::move(answered));
}

}  // namespace fettle::bench
