// exec.run: a program of this host, as a list of words, without a shell. Happy path: on the
// allow-list → start → exit code 0. Failures: not on the allow-list (refused), no such program,
// another exit code, a signal; killed at its deadline, or its end is not known (in doubt).
// What a program did cannot be read back: begun and not known to be done is in doubt.
#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "actions/action.h"
#include "io/process.h"
#include "io/timer.h"

namespace fettle::actions {
namespace {

constexpr std::size_t kCommandBytesMax = 32768;

/// The bytes of the UTF-8 sequence at `at`, or 0 if there is none.
std::size_t sequence_at(const std::string& text, std::size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const std::size_t size = lead < 0x80U                     ? 1
                           : lead >= 0xc2U && lead < 0xe0U  ? 2
                           : lead >= 0xe0U && lead < 0xf0U  ? 3
                           : lead >= 0xf0U && lead <= 0xf4U ? 4
                                                            : 0;
  if (size == 0 || at + size > text.size()) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((static_cast<unsigned char>(text[at + i]) & 0xc0U) != 0x80U) return 0;
  }
  return size;
}

/// One line that a log, a JSON and a terminal take: control characters become blanks, what is no
/// UTF-8 becomes '?'.
std::string one_line(const std::string& bytes) {
  std::string line;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = sequence_at(bytes, at);
    const auto byte = static_cast<unsigned char>(bytes[at]);
    if (size == 0) {
      line += '?';
    } else if (byte < 0x20U || byte == 0x7fU) {
      if (!line.empty() && line.back() != ' ') line += ' ';
    } else {
      line.append(bytes, at, size);
    }
    at += std::max<std::size_t>(size, 1);
  }
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

std::string with_output(const std::string& what, const std::string& output) {
  const std::string said = one_line(output);
  return said.empty() ? what : what + ": " + said;
}

core::TaskResult result_of(const io::ProcessEnd& end) {
  using How = io::ProcessEnd::How;
  const std::string value = std::to_string(end.value);
  switch (end.how) {
    case How::Exited:
      return {end.value == 0 ? core::TaskState::Done : core::TaskState::Failed,
              with_output("exit code " + value, end.output),
              {}};
    case How::Signalled:
      return {core::TaskState::Failed, with_output("killed by signal " + value, end.output), {}};
    case How::NotStarted:
      return {core::TaskState::Failed, std::string("not started: ") + std::strerror(end.value), {}};
    case How::Lost:
      break;
  }
  return {core::TaskState::InDoubt, with_output("its keeper was killed", end.output), {}};
}

std::vector<std::string> environment_of(const core::Task& task) {
  const core::TaskKey& key = task.key;
  return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
          "LANG=C",
          "FETTLE_NODE=" + core::text_option(task.input, "node"),
          "FETTLE_SERVICE=" + core::text_option(task.input, "service"),
          "FETTLE_STEP=" + core::text_option(task.input, "step"),
          "FETTLE_RUN=" + std::to_string(key.run.value),
          "FETTLE_ATTEMPT=" + std::to_string(key.attempt),
          "FETTLE_KEY=" + core::to_string(key),
          "FETTLE_REASON=" + task.reason};
}

class ExecRun final : public Action {
 public:
  explicit ExecRun(ActionContext& context) : context_(context), timer_(context.loop) {}

  void start(const core::Task& task, Done done) override {
    done_ = std::move(done);
    const io::ProcessCommand command{core::list_option(task.input, "command"),
                                     environment_of(task)};
    if (auto why = why_not(command.argv)) return answer_soon(core::TaskState::Refused, *why);
    auto started = context_.processes.start(
        command, [this](const io::ProcessEnd& end) { answer(result_of(end)); });
    if (!started) {
      return answer_soon(core::TaskState::Failed, "not started: " + started.error().what);
    }
    process_.emplace(std::move(*started));
    timer_.start(task.remaining, [this] {
      const std::string said = process_->output();
      process_.reset();
      answer({core::TaskState::InDoubt, with_output("killed at its deadline", said), {}});
    });
  }

  void inspect(const core::JournalEntry&, Found found) override {
    timer_.start(core::Duration{0}, [found = std::move(found)] {
      found(core::Finding::CannotTell,
            {core::TaskState::InDoubt, "this member restarted while the program ran", {}});
    });
  }

 private:
  std::optional<std::string> why_not(const std::vector<std::string>& argv) const {
    if (argv.empty()) return "there is no command";
    std::size_t bytes = 0;
    for (const std::string& word : argv) {
      bytes += word.size() + 1;
      if (word.find('\0') != std::string::npos) return "a word of the command holds a NUL";
    }
    if (bytes > kCommandBytesMax) return "the command is larger than 32 KiB";
    const std::string& program = argv.front();
    if (!core::is_plain_path(program)) return program + " is no plain absolute path";
    if (!core::allows(context_.allow, "exec", program)) {
      return "this host's allow-list (allow.exec) does not hold " + program;
    }
    return std::nullopt;
  }

  void answer_soon(core::TaskState state, std::string text) {
    timer_.start(core::Duration{0},
                 [this, result = core::TaskResult{state, std::move(text), {}}] { answer(result); });
  }

  void answer(core::TaskResult result) {
    timer_.stop();
    const Done done = std::exchange(done_, nullptr);
    if (done) done(std::move(result));
  }

  ActionContext& context_;
  io::Timer timer_;
  std::optional<io::Process> process_;
  Done done_;
};

}  // namespace

std::unique_ptr<Action> make_exec_run(ActionContext& context) {
  return std::make_unique<ExecRun>(context);
}

}  // namespace fettle::actions
