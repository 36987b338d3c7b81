// HAProxy by its runtime API (Management Guide 9.3): one connection a command line, the answer is
// text until HAProxy closes. There is no status code: an empty answer is success, anything else is
// HAProxy's own words of why not.
// Happy path of set: `set server` in every backend → (`shutdown sessions server`) → done.
// Failures: no socket, an answer too large or cut, no answer in time, HAProxy refuses.
#include <algorithm>
#include <charconv>
#include <deque>
#include <map>
#include <sstream>
#include <utility>

#include "directors/director.h"
#include "io/stream.h"
#include "io/timer.h"

namespace fettle::directors {
namespace {

constexpr std::size_t kAnswerBytesMax = 1024U * 1024;
constexpr std::size_t kErrorTextMax = 300;
// srv_admin_state bits (Management Guide, "show servers state") that say what somebody set. The
// others are HAProxy's own (a tracked server, a name that does not resolve) or what the
// configuration began with, which stays set after `ready`: seen with 2.6.
constexpr unsigned kForcedMaint = 0x01;
constexpr unsigned kForcedDrain = 0x08;
constexpr int kRunning = 2;

/// For people and logs: without the blanks around it, bounded, and no byte that is more than text.
std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "";
  const auto last = text.find_last_not_of(" \t\r\n");
  std::string line(text.substr(first, std::min(last - first + 1, kErrorTextMax)));
  std::ranges::replace_if(line, [](char c) { return c < ' ' || c > '~'; }, '?');
  return line;
}

/// Without the brackets that an IPv6 address stands in.
std::string host_of(std::string text) {
  const bool bracketed = text.starts_with('[') && text.ends_with(']');
  return bracketed ? text.substr(1, text.size() - 2) : text;
}

/// A word that can stand in a command line and name nothing but itself.
bool is_plain(const std::string& word) {
  return !word.empty() && word.find_first_of(" ;/\\\r\n\t") == std::string::npos;
}

/// The value of one line of `show info`; empty: it is not there.
std::string info(const std::string& answer, const std::string& name) {
  const std::string line = "\n" + name + ": ";
  const std::size_t at = answer.find(line);
  if (at == std::string::npos) return "";
  const std::size_t from = at + line.size();
  return trimmed(std::string_view(answer).substr(from, answer.find('\n', from) - from));
}

struct Row {
  unsigned admin = 0;
  int operational = 0;
};

template <typename Number>
bool to_number(const std::string& text, Number& into) {
  return std::from_chars(text.data(), text.data() + text.size(), into).ec == std::errc();
}

/// The rows of the answer to `show servers state BACKEND` by server, by the names in its header.
std::map<std::string, Row> rows_of(const std::string& table) {
  std::map<std::string, Row> rows;
  std::istringstream lines(table);
  std::map<std::string, std::size_t> columns;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::vector<std::string> cells;
    for (std::string word; words >> word;) cells.push_back(word);
    if (!cells.empty() && cells[0] == "#") {
      for (std::size_t i = 1; i < cells.size(); ++i) columns[cells[i]] = i - 1;
      continue;
    }
    const auto cell = [&](const char* name) -> std::string {
      const auto column = columns.find(name);
      return column == columns.end() || column->second >= cells.size() ? "" : cells[column->second];
    };
    Row row;
    const std::string server = cell("srv_name");
    if (server.empty() || !to_number(cell("srv_admin_state"), row.admin) ||
        !to_number(cell("srv_op_state"), row.operational)) {
      continue;
    }
    rows.insert_or_assign(server, row);
  }
  return rows;
}

ServerAdmin admin_of(const Row& row) {
  if ((row.admin & kForcedMaint) != 0) return ServerAdmin::Maint;
  if ((row.admin & kForcedDrain) != 0) return ServerAdmin::Drain;
  return ServerAdmin::Ready;
}

class Haproxy final : public Director {
 public:
  Haproxy(std::string socket, std::vector<std::string> backends, const DirectorContext& context)
      : socket_(std::move(socket)),
        backends_(std::move(backends)),
        loop_(context.loop),
        resolver_(context.resolver),
        timer_(context.loop) {}
  ~Haproxy() override { *alive_ = false; }

  void read(const std::string& server, core::Duration timeout,
            std::function<void(Result<ServerState>)> done) override {
    survey(timeout, [this, server, done = std::move(done)](const Result<Survey>& survey) {
      if (!survey) return done(std::unexpected(survey.error()));
      const auto found = survey->servers.find(server);
      if (found != survey->servers.end()) return done(found->second);
      std::string names;
      for (const std::string& backend : backends_) names += (names.empty() ? "" : ", ") + backend;
      done(fail(Code::NotFound, "HAProxy has no server " + server + " in " + names));
    });
  }

  void survey(core::Duration timeout, std::function<void(Result<Survey>)> done) override {
    std::vector<std::string> lines{"show info"};
    for (const std::string& backend : backends_) lines.push_back("show servers state " + backend);
    run(std::move(lines), timeout,
        [this, done = std::move(done)](Result<std::vector<std::string>> answers) {
          if (!answers) return done(std::unexpected(answers.error()));
          done(survey_of(*answers));
        });
  }

  void set(const std::string& server, ServerAdmin wanted, bool end_sessions, core::Duration timeout,
           std::function<void(Status)> done) override {
    std::vector<std::string> lines;
    for (const std::string& backend : backends_) {
      const std::string name = backend + "/" + server;
      lines.push_back("set server " + name + " state " + std::string(to_string(wanted)));
      if (end_sessions) lines.push_back("shutdown sessions server " + name);
    }
    if (!is_plain(server)) lines.clear();
    run(std::move(lines), timeout,
        [done = std::move(done)](Result<std::vector<std::string>> answers) {
          if (!answers) return done(std::unexpected(answers.error()));
          for (const std::string& answer : *answers) {
            if (const std::string said = trimmed(answer); !said.empty()) {
              return done(fail(Code::Refused, "HAProxy: " + said));
            }
          }
          done({});
        });
  }

 private:
  using Answers = std::function<void(Result<std::vector<std::string>>)>;

  Result<Survey> survey_of(const std::vector<std::string>& answers) const {
    const std::string pid = info(answers[0], "Pid");
    if (pid.empty()) {
      return fail(Code::Corrupt, socket_ + ": HAProxy's socket answers garbage: '" +
                                     trimmed(answers[0]).substr(0, 60) + "'");
    }
    Survey survey;
    // In a container a restart often gets the same pid: its start tells it from the one before.
    const std::string start = info(answers[0], "Start_time_sec");
    survey.process = start.empty() ? pid : pid + "@" + start;
    std::map<std::string, std::size_t> backends_with;
    for (std::size_t i = 1; i < answers.size(); ++i) {
      for (const auto& [server, row] : rows_of(answers[i])) {
        const ServerAdmin admin = admin_of(row);
        const bool running = row.operational == kRunning;
        const bool first = backends_with[server]++ == 0;
        ServerState& state = survey.servers[server];
        state.process = survey.process;
        state.admin = first || state.admin == admin ? admin : ServerAdmin::Mixed;
        state.running = (first || state.running) && running;
      }
    }
    std::erase_if(survey.servers, [&](const auto& server) {
      return backends_with.at(server.first) != backends_.size();
    });
    return survey;
  }

  void run(std::vector<std::string> lines, core::Duration timeout, Answers done) {
    done_ = std::move(done);
    lines_ = {lines.begin(), lines.end()};
    answers_.clear();
    timer_.start(timeout, [this] { finish(fail(Code::Timeout, socket_ + ": no answer in time")); });
    if (lines_.empty()) {
      timer_.start(core::Duration{0},
                   [this] { finish(fail(Code::Invalid, "no such server name")); });
      return;
    }
    next();
  }

  void next() {
    ++asked_;
    answer_.clear();
    stream_ = std::make_unique<io::Stream>(loop_);
    io::StreamEvents events{
        .on_open = [this] { stream_->write(lines_.front() + "\n"); },
        .on_data =
            [this](std::string_view bytes) {
              answer_ += bytes;
              if (answer_.size() > kAnswerBytesMax)
                finish(fail(Code::Corrupt, socket_ + ": an answer without end"));
            },
        .on_end = [this](io::End end, const std::string& text) { ended(end, text); },
    };
    static constexpr auto kNoOwnLimit = std::chrono::hours(1);  // timer_ is the limit
    if (socket_.starts_with('/'))
      return stream_->connect_unix(socket_, std::move(events), kNoOwnLimit);
    const std::size_t colon = socket_.rfind(':');
    std::uint16_t port = 0;
    std::from_chars(socket_.data() + colon + 1, socket_.data() + socket_.size(), port);
    resolver_.resolve(
        host_of(socket_.substr(0, colon)), port,
        [this, events = std::move(events), asked = asked_,
         alive = alive_](const Result<io::SockAddress>& address) mutable {
          if (!*alive || asked != asked_) return;  // its time was over
          if (!address) {
            return finish(fail(Code::Unreachable, socket_ + ": " + address.error().what));
          }
          stream_->connect_tcp(*address, std::move(events), kNoOwnLimit);
        });
  }

  void ended(io::End end, const std::string& text) {
    const std::unique_ptr<io::Stream> old = std::move(stream_);
    if (end != io::End::Eof) return finish(fail(Code::Unreachable, socket_ + ": " + text));
    answers_.push_back(std::move(answer_));
    lines_.pop_front();
    if (!lines_.empty()) return next();
    finish(std::exchange(answers_, {}));
  }

  void finish(Result<std::vector<std::string>> answers) {
    ++asked_;
    timer_.stop();
    const std::unique_ptr<io::Stream> old = std::move(stream_);
    const Answers done = std::exchange(done_, nullptr);
    done(std::move(answers));
  }

  std::string socket_;
  std::vector<std::string> backends_;
  io::Loop& loop_;
  io::Resolver& resolver_;
  io::Timer timer_;
  std::uint64_t asked_ = 0;  // tells a name that was looked up for a connection from a late one
  std::unique_ptr<io::Stream> stream_;
  std::deque<std::string> lines_;
  std::vector<std::string> answers_;
  std::string answer_;
  Answers done_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

Result<std::unique_ptr<Director>> make_haproxy(const core::Options& options,
                                               const DirectorContext& context) {
  const std::string socket = core::text_option(options, "socket");
  const auto backends = core::list_option(options, "backend");
  if (socket.empty() || backends.empty())
    return fail(Code::Invalid, "haproxy needs socket and backend");
  for (const std::string& backend : backends) {
    if (!is_plain(backend)) return fail(Code::Invalid, "'" + backend + "' is no backend name");
  }
  return std::make_unique<Haproxy>(socket, backends, context);
}

}  // namespace fettle::directors
