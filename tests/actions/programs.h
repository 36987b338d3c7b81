// Programs: small shell scripts and what became of the processes that they started, for tests that
// run real programs. Everything lives in a folder that goes when the test does.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "io/loop.h"
#include "io/timer.h"

namespace fettle {

/// Longer than anything here takes, also on a busy machine; only a failing test waits so long.
inline constexpr std::chrono::seconds kPatience{20};

class Programs {
 public:
  Programs() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fettle-run-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~Programs() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;

  const std::string& folder() const { return folder_; }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  /// A script that runs `body` in /bin/sh.
  std::string script(const std::string& name, const std::string& body, mode_t mode = 0755) const {
    const std::string file = path(name);
    std::ofstream(file) << "#!/bin/sh\n" << body << "\n";
    chmod(file.c_str(), mode);
    return file;
  }
  std::string text_of(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(path(name)).rdbuf();
    return text.str();
  }
  /// The process id that a script wrote, once its line is whole.
  std::optional<pid_t> pid_in(const std::string& name) const {
    const std::string text = text_of(name);
    if (!text.ends_with('\n')) return std::nullopt;
    return std::stoi(text);
  }

 private:
  std::string folder_;
};

/// Turns the loop until `happened`, or kPatience has passed.
template <typename Happened>
bool turn_until(io::Loop& loop, Happened happened) {
  const core::Time until = io::Loop::now() + kPatience;
  io::Timer look(loop);
  look.start_repeating(std::chrono::milliseconds(2), [&] {
    if (happened() || io::Loop::now() > until) loop.stop();
  });
  loop.run();
  return happened();
}

/// True once no process of that id runs any more (a zombie does not run).
inline bool is_gone(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(stat, text)) return true;
  const std::size_t state = text.rfind(')') + 2;
  return state < text.size() && (text[state] == 'Z' || text[state] == 'X');
}

}  // namespace fettle
