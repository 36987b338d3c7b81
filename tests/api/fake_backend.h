// FakeBackend: a Backend that writes down what it was asked and answers what the test said, always
// on the loop's next turn. ApiServer: a Server with it on a loop of its own thread.
#pragma once

#include <unistd.h>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/backend.h"
#include "api/server.h"
#include "base/check.h"
#include "io/loop.h"

namespace fettle::api {

class FakeBackend : public Backend {
 public:
  explicit FakeBackend(io::Loop& loop) : loop_(loop) {}

  void read(bool linearizable, std::function<void(Result<Snapshot>)> done) override {
    reads.push_back(linearizable);
    later([this, linearizable, done = std::move(done)] {
      if (linearizable && !has_leader) return done(fail(Code::NotLeader, "no leader is known"));
      done(snapshot);
    });
  }
  void read_kv(KvQuery query, bool linearizable,
               std::function<void(Result<KvRead>)> done) override {
    reads.push_back(linearizable);
    later([this, query = std::move(query), linearizable, done = std::move(done)] {
      if (linearizable && !has_leader) return done(fail(Code::NotLeader, "no leader is known"));
      KvRead read{.revision = kv.revision, .stale_ms = snapshot.stale_ms};
      for (const auto& [key, value] : kv.values) {
        if (query.prefix ? key.starts_with(query.key) : key == query.key) read.values[key] = value;
      }
      done(read);
    });
  }
  void write(core::Command command, std::string key,
             std::function<void(Result<core::ClientAnswer>)> done) override {
    commands.push_back(std::move(command));
    keys.push_back(std::move(key));
    if (hold_writes) return held.push_back(std::move(done));
    later([this, done = std::move(done)] {
      if (write_fails) return done(std::unexpected(*write_fails));
      done(answer);
    });
  }
  core::Time log_time() const override { return core::Time{42}; }
  void parse(std::vector<core::SourceFile> files, std::function<void(ParseOutcome)> done) override {
    parsed.push_back(std::move(files));
    later([this, done = std::move(done)] { done(outcome); });
  }
  void change_members(MemberChange change, std::function<void(Result<std::string>)> done) override {
    changes.push_back(std::move(change));
    later([done = std::move(done)] { done("changed"); });
  }
  void transfer(std::string to, std::function<void(Result<std::string>)> done) override {
    transfers.push_back(std::move(to));
    later([done = std::move(done)] { done("handed over"); });
  }
  void snapshot_file(std::function<void(Result<std::string>)> done) override {
    later([done = std::move(done)] { done(std::string("bytes\0", 6)); });
  }
  void metrics(std::function<void(Result<Metrics>)> done) override {
    later([this, done = std::move(done)] { done(numbers); });
  }
  bool ready() override { return has_leader; }

  Snapshot snapshot{std::make_shared<core::State>(), {}, 0};
  core::KvStore kv;
  Metrics numbers;
  ParseOutcome outcome;
  core::ClientAnswer answer{.text = "done"};
  std::optional<Error> write_fails;
  bool has_leader = true;
  bool hold_writes = false;

  std::vector<bool> reads;
  std::vector<MemberChange> changes;
  std::vector<std::string> transfers;
  std::vector<core::Command> commands;
  std::vector<std::string> keys;
  std::vector<std::vector<core::SourceFile>> parsed;
  std::vector<std::function<void(Result<core::ClientAnswer>)>> held;

 private:
  void later(std::function<void()> fn) { FETTLE_ASSERT(loop_.post(std::move(fn))); }
  io::Loop& loop_;
};

/// The server listens while this lives; its parts are touched only through on_loop().
class ApiServer {
 public:
  explicit ApiServer(std::chrono::seconds client_timeout = std::chrono::seconds(10))
      : folder_(make_folder()), socket(folder_ + "/fettle.sock") {
    std::promise<void> up;
    thread_ = std::thread([this, client_timeout, &up] { serve(client_timeout, up); });
    up.get_future().wait();
  }
  ~ApiServer() {
    loop_->stop();
    thread_.join();
    unlink(socket.c_str());
    rmdir(folder_.c_str());
  }
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  /// Runs `fn` on the loop's thread and waits for it.
  void on_loop(const std::function<void(FakeBackend&, Server&)>& fn) {
    std::promise<void> done;
    FETTLE_ASSERT(loop_->post([this, &fn, &done] {
      fn(*backend_, *server_);
      done.set_value();
    }));
    done.get_future().wait();
  }
  void publish(const std::vector<core::Event>& events) {
    on_loop([&](FakeBackend&, Server& server) { server.publish(events); });
  }

 private:
  static std::string make_folder() {
    std::string pattern = "/tmp/fettle-api-XXXXXX";
    FETTLE_ASSERT(mkdtemp(pattern.data()) != nullptr);
    return pattern;
  }
  /// ~Loop asserts that uv_loop_close() found no handle left: the server closed everything.
  void serve(std::chrono::seconds client_timeout, std::promise<void>& up) {
    io::Loop loop;
    FakeBackend backend(loop);
    std::unique_ptr<Server> server;
    constexpr int kFirst = 25000;
    constexpr int kPorts = 1000;
    for (int i = 0; i < kPorts && server == nullptr; ++i) {
      port = static_cast<std::uint16_t>(kFirst + (getpid() * 7 + i) % kPorts);
      auto started = Server::start(loop, backend,
                                   {.tcp = core::Address{"127.0.0.1", port},
                                    .socket = socket,
                                    .client_timeout = client_timeout});
      if (started) server = std::move(*started);
    }
    FETTLE_ASSERT(server != nullptr);
    loop_ = &loop;
    backend_ = &backend;
    server_ = server.get();
    up.set_value();
    loop.run();
    server.reset();
  }

  std::string folder_;
  std::thread thread_;
  io::Loop* loop_ = nullptr;
  FakeBackend* backend_ = nullptr;
  Server* server_ = nullptr;

 public:
  std::string socket;
  std::uint16_t port = 0;
};

}  // namespace fettle::api
