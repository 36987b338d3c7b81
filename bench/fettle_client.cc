// Happy path: an idle connection, or a new one → request → head and body → answered, idle again.
// Failures: no connection, closed before the answer, not HTTP: answered with "no", closed.
#include <charconv>
#include <map>
#include <vector>

#include "bench/member.h"
#include "io/stream.h"

namespace fettle::bench {
namespace {

struct Connection {
  explicit Connection(io::Loop& loop) : stream(loop) {}
  io::Stream stream;
  std::string input;
  std::uint64_t attempt = 0;
  bool busy = false;
};

/// An answer's status once all of it is here; 0 until then, -1 if it is none of fettled's.
int complete_status(std::string_view input) {
  constexpr std::string_view kStart = "HTTP/1.1 ";
  constexpr std::string_view kLength = "content-length:";
  const std::size_t head_end = input.find("\r\n\r\n");
  if (head_end == std::string_view::npos) return 0;
  const std::size_t field = input.substr(0, head_end).find(kLength);
  if (!input.starts_with(kStart) || field == std::string_view::npos) return -1;
  const char* end = input.data() + head_end;
  const char* digits = input.data() + field + kLength.size();
  while (digits < end && *digits == ' ') ++digits;
  std::size_t length = 0;
  int status = 0;
  std::from_chars(digits, end, length);
  std::from_chars(input.data() + kStart.size(), end, status);
  return input.size() >= head_end + 4 + length ? status : 0;
}

class FettleClient final : public MemberClient {
 public:
  FettleClient(io::Loop& loop, std::string socket, Answered answered)
      : loop_(loop), socket_(std::move(socket)), answered_(std::move(answered)) {}

  void put(std::uint64_t attempt, std::string_view key) override {
    std::unique_ptr<Connection> connection;
    if (idle_.empty()) {
      connection = open();
    } else {
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
    connection->attempt = attempt;
    connection->busy = true;
    connection->stream.write("PUT /v1/kv/" + std::string(key) + kRest);
    busy_.insert_or_assign(attempt, std::move(connection));
  }

  void give_up(std::uint64_t attempt) override { busy_.erase(attempt); }

 private:
  std::unique_ptr<Connection> open() {
    auto connection = std::make_unique<Connection>(loop_);
    Connection* raw = connection.get();
    raw->stream.connect_unix(socket_,
                             {.on_open = [] {},
                              .on_data = [this, raw](std::string_view b) { heard(*raw, b); },
                              .on_end = [this, raw](io::End, const std::string&) { ended(*raw); }});
    return connection;
  }

  void heard(Connection& connection, std::string_view bytes) {
    connection.input += bytes;
    const int status = complete_status(connection.input);
    if (status == 0 || !connection.busy) return;
    constexpr int kOk = 200;
    connection.input.clear();
    connection.busy = false;
    const auto found = busy_.find(connection.attempt);
    idle_.push_back(std::move(found->second));
    busy_.erase(found);
    answered_(connection.attempt, status == kOk);
  }

  void ended(Connection& connection) {
    if (connection.busy) {
      const auto kept = busy_.extract(connection.attempt);
      return answered_(connection.attempt, false);
    }
    for (auto at = idle_.begin(); at != idle_.end(); ++at) {
      if (at->get() != &connection) continue;
      const auto kept = std::move(*at);
      idle_.erase(at);
      return;
    }
  }

  inline static const std::string kRest =
      " HTTP/1.1\r\nHost: fettle\r\nContent-Type: application/json\r\nContent-Length: " +
      std::to_string(kValueBytes + 12) + "\r\n\r\n{\"value\":\"" + std::string(kValueBytes, 'v') +
      "\"}";

  io::Loop& loop_;
  std::string socket_;
  Answered answered_;
  std::vector<std::unique_ptr<Connection>> idle_;
  std::map<std::uint64_t, std::unique_ptr<Connection>> busy_;
};

}  // namespace

std::unique_ptr<MemberClient> make_fettle_client(io::Loop& loop, std::string socket,
                                                 Answered answered) {
  return std::make_unique<FettleClient>(loop, std::move(socket), std::move(answered));
}

}  // namespace fettle::bench
