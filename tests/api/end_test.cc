// The API's end: it leaves nothing behind, and takes nothing away that is not its own.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "api/server.h"
#include "tests/api/fake_backend.h"

namespace fettle::api {
namespace {

/// What libwebsockets is given by pointer must not be the caller's.
TEST(ApiEnd, OnlyItsOwnSocketIsRemovedWhateverBecameOfTheConfiguration) {
  const std::string folder = testing::TempDir();
  const std::string socket = folder + "fettle-own-" + std::to_string(getpid());
  const std::string other = folder + "fettle-oth-" + std::to_string(getpid());
  std::ofstream(other) << "not ours";
  io::Loop loop;
  FakeBackend backend(loop);
  ServerConfig config{.socket = socket};
  auto server = Server::start(loop, backend, config);
  ASSERT_TRUE(server) << server.error().what;
  EXPECT_TRUE(std::filesystem::exists(socket));
  std::ranges::copy(other, config.socket.begin());  // in place
  server->reset();
  EXPECT_FALSE(std::filesystem::exists(socket));
  EXPECT_TRUE(std::filesystem::remove(other));
}

}  // namespace
}  // namespace fettle::api
