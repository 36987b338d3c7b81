// DirectorWatcher: looks at the directors that this host owns, now and then, and tells the group
// what they hold; the engine decides what it means. A look begins once it is known which log index
// this member has applied, so that it can be told from one before an act. Work loop only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/command.h"
#include "core/sample.h"
#include "directors/director.h"
#include "io/timer.h"

namespace fettle::daemon {

class DirectorWatcher {
 public:
  static constexpr core::Duration kEvery = std::chrono::seconds(1);
  static constexpr core::Duration kLookTimeout = std::chrono::seconds(2);

  /// Answers the log index that this member has applied, on the work loop.
  using Applied = std::function<void(std::function<void(Index)>)>;
  using Report = std::function<void(std::map<std::string, core::DirectorView>)>;

  /// `resolver` outlives it.
  DirectorWatcher(io::Loop& loop, io::Resolver& resolver, Applied applied, Report report);
  ~DirectorWatcher();
  DirectorWatcher(const DirectorWatcher&) = delete;
  DirectorWatcher& operator=(const DirectorWatcher&) = delete;

  /// Replaces what is looked at.
  void watch(std::vector<core::DirectorWatch> watches);

 private:
  struct Watched {
    core::DirectorWatch watch;
    std::unique_ptr<directors::Director> director;
    bool looking = false;
  };

  void look_at_all(Index applied);
  void seen(const std::string& service, Index applied, const Result<directors::Survey>& survey);

  io::Loop& loop_;
  io::Resolver& resolver_;
  Applied applied_;
  Report report_;
  io::Timer timer_;
  std::map<std::string, Watched> watched_;  // by service
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fettle::daemon
