// traffic.isolate and traffic.restore: the real state is read, changed, and read back.
// Happy path of isolate: read → (already out: done) → set maint, or drain if the node lives → read
// back. It answers the process and the state it found, so that restore undoes only what we set.
// Happy path of restore: read → set ready → read until the server runs.
// Failures: out of reach before anything was asked of it (`unreachable`), no word on what was asked
// (`in_doubt`), not on the allow-list, no such director, what the director says, a read-back that
// differs, a state that a person set meanwhile, no end in time.
#include <utility>

#include "actions/action.h"
#include "directors/director.h"
#include "io/timer.h"

namespace fettle::actions {
namespace {

using directors::ServerAdmin;
using directors::ServerState;

constexpr core::Duration kReadBackEvery = std::chrono::milliseconds(100);

core::TaskResult failed(std::string text) { return {core::TaskState::Failed, std::move(text), {}}; }

bool out_of_reach(const Error& error) {
  return error.code == Code::Unreachable || error.code == Code::Timeout;
}

class Traffic final : public Action {
 public:
  Traffic(ActionContext& context, bool isolate)
      : context_(context), isolate_(isolate), timer_(context.loop) {}

  void start(const core::Task& task, Done done) override {
    done_ = std::move(done);
    deadline_ = io::Loop::now() + task.remaining;
    if (!open(task.input)) return;
    read([this](const ServerState& found) { isolate_ ? isolate(found) : restore(found); });
  }

  void inspect(const core::JournalEntry& entry, Found found) override {
    constexpr core::Duration kInspectTimeout = std::chrono::seconds(5);
    deadline_ = io::Loop::now() + kInspectTimeout;
    done_ = [found](core::TaskResult result) {
      found(core::Finding::CannotTell, std::move(result));
    };
    if (!open(entry.input)) return;
    read([this, found](const ServerState& state) {
      const bool out = state.admin == ServerAdmin::Maint || state.admin == ServerAdmin::Drain;
      const bool as_wanted = isolate_ ? out : state.admin == ServerAdmin::Ready && state.running;
      core::TaskResult result{core::TaskState::Done, seen(state), {}};
      // What was found before the act is not known any more: it was begun by us, so it was ready.
      if (as_wanted) result.output = output(ServerAdmin::Ready, state);
      found(as_wanted ? core::Finding::WasDone : core::Finding::NotDone, std::move(result));
    });
  }

 private:
  bool open(const core::Options& input) {
    const std::string kind = core::text_option(input, "director");
    const std::string socket = core::text_option(input, "socket");
    input_ = input;
    server_ = core::text_option(input, "server");
    if (!core::allows(context_.allow, kind, socket)) {
      answer_soon({core::TaskState::Refused,
                   "this host's allow-list (allow." + kind + ") does not hold " + socket,
                   {}});
      return false;
    }
    auto made = directors::make(kind, input, {context_.loop, context_.resolver});
    if (!made) {
      answer_soon(failed(made.error().what));
      return false;
    }
    director_ = std::move(*made);
    return true;
  }

  void read(std::function<void(const ServerState&)> next) {
    director_->read(server_, left(), [this, next = std::move(next)](Result<ServerState> state) {
      if (state) return next(*state);
      const bool absent = out_of_reach(state.error());
      answer({acted_   ? core::TaskState::InDoubt
              : absent ? core::TaskState::Unreachable
                       : core::TaskState::Failed,
              state.error().what,
              {}});
    });
  }

  /// Changes the state; what the director did not confirm may or may not have happened.
  void change(ServerAdmin wanted, bool end_sessions, std::function<void()> next) {
    director_->set(
        server_, wanted, end_sessions, left(), [this, next = std::move(next)](const Status& set) {
          acted_ = true;
          if (set) return next();
          const bool unknown = set.error().code != Code::Refused;
          answer(
              {unknown ? core::TaskState::InDoubt : core::TaskState::Failed, set.error().what, {}});
        });
  }

  void isolate(const ServerState& found) {
    const bool dead = core::text_option(input_, "verdict") == "down";
    const ServerAdmin wanted = dead ? ServerAdmin::Maint : ServerAdmin::Drain;
    if (found.admin == wanted || found.admin == ServerAdmin::Maint) {
      return answer({core::TaskState::Done, "already " + seen(found), output(found.admin, found)});
    }
    change(wanted, dead, [this, found, wanted] {
      read([this, found, wanted](const ServerState& now) {
        if (now.admin != wanted)
          return answer(
              failed("set " + std::string(to_string(wanted)) + ", but it is " + seen(now)));
        answer({core::TaskState::Done, seen(now), output(found.admin, now)});
      });
    });
  }

  void restore(const ServerState& found) {
    const std::string pid = core::text_option(input_, "pid");
    const std::string set = core::text_option(input_, "set");
    if (found.admin == ServerAdmin::Ready) return wait_running(found);
    if (pid == found.process && !set.empty() && set != to_string(found.admin)) {
      return answer(
          failed("external: a person set it to " + seen(found) + ", Fettle had set " + set));
    }
    change(ServerAdmin::Ready, false,
           [this] { read([this](const ServerState& now) { wait_running(now); }); });
  }

  void wait_running(const ServerState& now) {
    if (now.admin == ServerAdmin::Ready && now.running) {
      return answer({core::TaskState::Done, seen(now), output(now.admin, now)});
    }
    if (left() <= kReadBackEvery) {
      const std::string text = "it is " + seen(now) + ", not running yet";
      return answer({acted_ ? core::TaskState::InDoubt : core::TaskState::Failed, text, {}});
    }
    timer_.start(kReadBackEvery,
                 [this] { read([this](const ServerState& later) { wait_running(later); }); });
  }

  static std::string seen(const ServerState& state) {
    return std::string(to_string(state.admin)) + (state.running ? "" : ", stopped") + " (pid " +
           state.process + ")";
  }
  static core::Options output(ServerAdmin found, const ServerState& set) {
    return {{"pid", set.process},
            {"found", std::string(to_string(found))},
            {"set", std::string(to_string(set.admin))}};
  }
  core::Duration left() const { return deadline_ - io::Loop::now(); }
  void answer_soon(core::TaskResult result) {
    timer_.start(core::Duration{0}, [this, result = std::move(result)] { answer(result); });
  }
  void answer(core::TaskResult result) {
    timer_.stop();
    const Done done = std::exchange(done_, nullptr);
    if (done) done(std::move(result));
  }

  ActionContext& context_;
  bool isolate_;
  io::Timer timer_;
  std::unique_ptr<directors::Director> director_;
  core::Options input_;
  std::string server_;
  core::Time deadline_;
  bool acted_ = false;  // the director was told to change something
  Done done_;
};

}  // namespace

std::unique_ptr<Action> make_traffic_isolate(ActionContext& context) {
  return std::make_unique<Traffic>(context, true);
}

std::unique_ptr<Action> make_traffic_restore(ActionContext& context) {
  return std::make_unique<Traffic>(context, false);
}

}  // namespace fettle::actions
