// Happy path: fork the keeper → watch its end by a pidfd → go → Started → output is read as it
// comes → Exited → read what the pipe still holds → tell → close the line → the keeper ends → reap.
// Failures: no descriptors or no fork (an error, nothing runs), no such program (NotStarted, then
// Exited), the keeper is killed (Lost). Whoever holds the pipe longer than the program is not
// waited for.
#include "io/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

#include "base/check.h"
#include "io/keeper.h"

namespace fettle::io {
namespace {

constexpr std::size_t kReadAtOnce = 65536;
constexpr int kReadsAtEnd = 16;  // what the pipe may still hold: its capacity, some times over

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { reset(); }
  int get() const { return fd_; }
  void reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

std::unexpected<Error> system_error(const std::string& what) {
  const int code = errno;
  return fail(Code::Io, what + ": " + std::strerror(code));
}

/// A descriptor and what to do while it is readable. Stays where it is: the loop knows its address.
class Watched {
 public:
  Watched(Loop& loop, Descriptor fd, std::function<void()> readable)
      : fd_(std::move(fd)), readable_(std::move(readable)) {
    auto raw = std::make_unique<uv_poll_t>();
    FETTLE_ASSERT(uv_poll_init(loop.raw(), raw.get(), fd_.get()) == 0);
    raw->data = this;
    handle_ = Handle<uv_poll_t>(std::move(raw));
    uv_poll_start(handle_.get(), UV_READABLE, [](uv_poll_t* poll, int, int) {
      if (poll->data == nullptr) return;
      const auto call = static_cast<Watched*>(poll->data)->readable_;  // it may destroy this
      call();
    });
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
  int fd() const { return fd_.get(); }

 private:
  Descriptor fd_;  // closed after its handle
  std::function<void()> readable_;
  Handle<uv_poll_t> handle_;
};

/// The first and the last bytes of what came.
class Capture {
 public:
  void add(const char* bytes, std::size_t size) {
    const std::size_t first = std::min(size, kProcessHeadMax - head_.size());
    head_.append(bytes, first);
    bytes += first;
    size -= first;
    if (size > kProcessTailMax) {
      left_out_ += tail_.size() + size - kProcessTailMax;
      tail_.assign(bytes + (size - kProcessTailMax), kProcessTailMax);
      return;
    }
    tail_.append(bytes, size);
    if (tail_.size() <= kProcessTailMax) return;
    left_out_ += tail_.size() - kProcessTailMax;
    tail_.erase(0, tail_.size() - kProcessTailMax);
  }
  std::string text() const {
    if (left_out_ == 0) return head_ + tail_;
    return head_ + " ... " + std::to_string(left_out_) + " bytes left out ... " + tail_;
  }

 private:
  std::string head_, tail_;
  std::size_t left_out_ = 0;
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  list.reserve(texts.size() + 1);
  for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

/// No signal of ours may run a handler in the fork before it has put them away.
pid_t fork_keeper(const keeper::Plan& plan) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = _Fork();
  if (pid == 0) keeper::keep(plan);
  const int code = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = code;
  return pid;
}

}  // namespace

struct Process::Child {
  Processes* home = nullptr;  // null once it is gone
  pid_t keeper = 0;
  pid_t program = 0;  // 0: not known yet
  std::unique_ptr<Watched> line, output, end;
  Capture capture;
  std::optional<int> not_started;
  bool over = false;  // told, or nobody is to be told
  Processes::Done done;

  void read_line();
  void take(const keeper::Report& report);
  void read_output(int times);
  void finish(ProcessEnd::How how, int value);
  void abandon();
  void kill_group() const;
  void keeper_ended();
};

void Process::Child::read_line() {
  while (!over) {
    keeper::Report report;
    const ssize_t count = recv(line->fd(), &report, sizeof report, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count == sizeof report) {
      take(report);
    } else if (not_started) {
      return finish(ProcessEnd::How::NotStarted, *not_started);
    } else {
      return finish(ProcessEnd::How::Lost, 0);
    }
  }
}

void Process::Child::take(const keeper::Report& report) {
  using What = keeper::Report::What;
  switch (report.what) {
    case What::Started:
      program = report.value;
      return;
    case What::NotStarted:
      not_started = report.value;
      return;
    case What::Exited:
    case What::Signalled:
      if (not_started) return finish(ProcessEnd::How::NotStarted, *not_started);
      read_output(kReadsAtEnd);
      finish(report.what == What::Exited ? ProcessEnd::How::Exited : ProcessEnd::How::Signalled,
             report.value);
      return;
  }
}

void Process::Child::read_output(int times) {
  std::array<char, kReadAtOnce> part;
  for (int i = 0; i < times && output; ++i) {
    const ssize_t count = read(output->fd(), part.data(), part.size());
    if (count > 0) {
      capture.add(part.data(), static_cast<std::size_t>(count));
    } else {
      if (count == 0 || (errno != EAGAIN && errno != EINTR)) output.reset();
      return;
    }
  }
}

void Process::Child::finish(ProcessEnd::How how, int value) {
  over = true;
  line.reset();
  output.reset();
  const auto tell = std::exchange(done, nullptr);
  if (tell) tell({how, value, capture.text()});
}

void Process::Child::abandon() {
  if (over) return;
  over = true;
  done = nullptr;
  kill_group();
  line.reset();
  output.reset();
}

/// While the keeper lives and we hold the line, it has not reaped the program: the id is its own.
void Process::Child::kill_group() const {
  if (program <= 0 || end == nullptr) return;
  pollfd dead{end->fd(), POLLIN, 0};
  if (poll(&dead, 1, 0) == 0) kill(-program, SIGKILL);
}

void Process::Child::keeper_ended() {
  if (waitpid(keeper, nullptr, WNOHANG) == 0) return;
  end.reset();
  if (!over) read_line();
  if (home != nullptr) home->reaped(this);
}

Process::~Process() {
  if (child_ != nullptr) child_->abandon();
}

std::string Process::output() const { return child_->capture.text(); }

Processes::~Processes() {
  for (const auto& child : children_) child->abandon();
  const core::Time until = Loop::now() + kEndMax;
  for (const auto& child : children_) {
    child->home = nullptr;
    if (child->end == nullptr) continue;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Loop::now());
    pollfd dead{child->end->fd(), POLLIN, 0};
    poll(&dead, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (waitpid(child->keeper, nullptr, WNOHANG) == 0) kill(child->keeper, SIGKILL);
    child->end.reset();
  }
}

Result<Process> Processes::start(const ProcessCommand& command, Done done) {
  FETTLE_ASSERT(!command.argv.empty());
  if (children_.size() >= kRunningMax) {
    return fail(Code::Busy, std::to_string(kRunningMax) + " programs run already");
  }
  std::array<int, 2> line{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line.data()) != 0) {
    return system_error("socketpair");
  }
  Descriptor our_line(line[0]);
  Descriptor its_line(line[1]);
  std::array<int, 2> output{};
  if (pipe2(output.data(), O_CLOEXEC) != 0) return system_error("pipe");
  Descriptor our_output(output[0]);
  Descriptor its_output(output[1]);
  const std::vector<char*> argv = pointers(command.argv);
  const std::vector<char*> environment = pointers(command.environment);
  const pid_t keeper =
      fork_keeper({argv.data(), environment.data(), its_line.get(), its_output.get()});
  if (keeper < 0) return system_error("fork");
  // glibc 2.36 declares pidfd_open without C linkage.
  Descriptor end(static_cast<int>(syscall(SYS_pidfd_open, keeper, 0)));
  if (end.get() < 0) {
    const auto error = system_error("pidfd_open");
    kill(keeper, SIGKILL);
    waitpid(keeper, nullptr, 0);  // it waits for our go and holds nothing: gone at once
    return error;
  }
  its_line.reset();
  its_output.reset();
  auto child = std::make_shared<Process::Child>();
  Process::Child* raw = child.get();
  child->home = this;
  child->keeper = keeper;
  child->done = std::move(done);
  // A child is kept by us until it is reaped; its own callbacks keep it while they run.
  const auto call = [weak = std::weak_ptr(child)](auto what) {
    return [weak, what] {
      if (const auto kept = weak.lock()) what(*kept);
    };
  };
  child->line = std::make_unique<Watched>(loop_, std::move(our_line),
                                          call([](Process::Child& c) { c.read_line(); }));
  child->output = std::make_unique<Watched>(loop_, std::move(our_output),
                                            call([](Process::Child& c) { c.read_output(1); }));
  child->end = std::make_unique<Watched>(loop_, std::move(end),
                                         call([](Process::Child& c) { c.keeper_ended(); }));
  children_.push_back(child);
  static_cast<void>(send(raw->line->fd(), "g", 1, MSG_NOSIGNAL));
  return Process(std::move(child));
}

void Processes::reaped(Process::Child* child) {
  std::erase_if(children_, [child](const auto& one) { return one.get() == child; });
}

}  // namespace fettle::io
