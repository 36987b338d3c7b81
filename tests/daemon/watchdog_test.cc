#include "daemon/watchdog.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>

#include "io/service.h"

namespace fettle::daemon {
namespace {

using namespace std::chrono_literals;
using core::Time;

TEST(Feeding, IsDueOnlyWhenBothLoopsMoved) {
  Feeding feeding(Time{});
  EXPECT_FALSE(feeding.moved(Beat::Group, Time{} + 1s));
  EXPECT_TRUE(feeding.moved(Beat::Work, Time{} + 1s));
  EXPECT_FALSE(feeding.moved(Beat::Work, Time{} + 2s));
  EXPECT_TRUE(feeding.moved(Beat::Group, Time{} + 2s));
}

TEST(Feeding, AWedgedGroupLoopStarvesItHoweverOftenTheWorkLoopMoves) {
  Feeding feeding(Time{});
  feeding.moved(Beat::Group, Time{} + 1s);
  ASSERT_TRUE(feeding.moved(Beat::Work, Time{} + 1s));
  for (int second = 2; second < 100; ++second) {
    ASSERT_FALSE(feeding.moved(Beat::Work, Time{} + second * 1s));
  }
  EXPECT_EQ(feeding.silence(Beat::Group, Time{} + 100s), 99s);
  EXPECT_EQ(feeding.silence(Beat::Work, Time{} + 100s), 1s);
}

TEST(Feeding, AWedgedWorkLoopStarvesItHoweverOftenTheGroupLoopMoves) {
  Feeding feeding(Time{});
  for (int second = 1; second < 100; ++second) {
    ASSERT_FALSE(feeding.moved(Beat::Group, Time{} + second * 1s));
  }
  EXPECT_EQ(feeding.silence(Beat::Work, Time{} + 100s), 100s);
}

TEST(Feeding, ALoopThatCatchesUpIsFedForOnceNotForEachBeatItMissed) {
  Feeding feeding(Time{});
  for (int i = 0; i < 8; ++i) feeding.moved(Beat::Group, Time{} + 1s);
  EXPECT_TRUE(feeding.moved(Beat::Work, Time{} + 9s));
  EXPECT_FALSE(feeding.moved(Beat::Work, Time{} + 10s));
}

/// A service manager's notify socket, for this process, watching every `interval`.
class Manager {
 public:
  explicit Manager(std::chrono::microseconds interval) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_ = (std::filesystem::temp_directory_path() / ("fettle-notify-" + std::to_string(getpid())))
                .string();
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    setenv("NOTIFY_SOCKET", path_.c_str(), 1);
    setenv("WATCHDOG_USEC", std::to_string(interval.count()).c_str(), 1);
    setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  }
  ~Manager() {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
    close(fd_);
    std::filesystem::remove(path_);
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  /// The next notification, if one comes within `within`.
  std::optional<std::string> next(std::chrono::milliseconds within) const {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(within);
    const timeval limit{seconds.count(), (within - seconds).count() * 1000};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    std::array<char, 512> text{};
    const ssize_t size = recv(fd_, text.data(), text.size(), 0);
    if (size < 0) return std::nullopt;
    return std::string(text.data(), static_cast<std::size_t>(size));
  }

 private:
  std::string path_;
  int fd_ = -1;
};

constexpr auto kInterval = 200ms;
constexpr auto kSoon = 5s;

/// A watchdog over two loops that run when told to.
struct Watched {
  Manager manager{kInterval};
  io::Loop group, work;
  Watchdog watchdog{group, work, [] { return std::string("leader, 2 nodes"); }};
  std::thread group_thread, work_thread;

  void run_group() {
    group_thread = std::thread([this] { group.run(); });
  }
  void run_work() {
    work_thread = std::thread([this] { work.run(); });
  }
  ~Watched() {
    group.stop();
    work.stop();
    for (std::thread* one : {&group_thread, &work_thread}) {
      if (one->joinable()) one->join();
    }
  }
};

TEST(Watchdog, ReadyIsSaidWhenBothLoopsTurnAndNotBefore) {
  Watched watched;
  watched.run_group();
  EXPECT_EQ(watched.manager.next(2 * kInterval), std::nullopt);
  watched.run_work();
  EXPECT_EQ(watched.manager.next(kSoon), "WATCHDOG=1\nREADY=1\nSTATUS=leader, 2 nodes");
  EXPECT_EQ(watched.manager.next(kSoon), "WATCHDOG=1");
}

TEST(Watchdog, AWedgedLoopEndsTheFeedingAndOneThatGoesOnResumesIt) {
  Watched watched;
  watched.run_group();
  watched.run_work();
  ASSERT_TRUE(watched.manager.next(kSoon).has_value());
  std::mutex wedge;
  wedge.lock();
  watched.group.post([&wedge] { const std::lock_guard wait(wedge); });
  while (watched.manager.next(2 * kInterval).has_value()) {
  }
  wedge.unlock();
  EXPECT_EQ(watched.manager.next(kSoon), "WATCHDOG=1");
}

TEST(Watchdog, AnotherProcessesWatchIsNotOurs) {
  const Manager manager(kInterval);
  setenv("WATCHDOG_PID", std::to_string(getppid()).c_str(), 1);
  EXPECT_EQ(io::manager_watch_interval(), core::Duration{});
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  EXPECT_EQ(io::manager_watch_interval(), kInterval);
}

}  // namespace
}  // namespace fettle::daemon
