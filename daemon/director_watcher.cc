#include "daemon/director_watcher.h"

#include "daemon/log.h"

namespace fettle::daemon {

DirectorWatcher::DirectorWatcher(io::Loop& loop, io::Resolver& resolver, Applied applied,
                                 Report report)
    : loop_(loop),
      resolver_(resolver),
      applied_(std::move(applied)),
      report_(std::move(report)),
      timer_(loop) {}

DirectorWatcher::~DirectorWatcher() { *alive_ = false; }

void DirectorWatcher::watch(std::vector<core::DirectorWatch> watches) {
  std::map<std::string, Watched> wanted;
  for (core::DirectorWatch& watch : watches) {
    const auto old = watched_.find(watch.service);
    if (old != watched_.end() && old->second.watch == watch) {
      wanted.emplace(watch.service, std::move(old->second));
      continue;
    }
    auto director = directors::make(watch.kind, watch.options, {loop_, resolver_});
    if (!director) {
      log::error("director.refused: " + watch.service + ": " + director.error().what);
      continue;
    }
    const std::string service = watch.service;
    wanted.emplace(service, Watched{std::move(watch), std::move(*director)});
  }
  watched_ = std::move(wanted);
  if (watched_.empty()) return timer_.stop();
  if (timer_.active()) return;
  timer_.start_repeating(kEvery, [this] {
    applied_([this, alive = alive_](Index applied) {
      if (*alive) look_at_all(applied);
    });
  });
}

void DirectorWatcher::look_at_all(Index applied) {
  for (auto& [service, watched] : watched_) {
    if (watched.looking) continue;
    watched.looking = true;
    watched.director->survey(kLookTimeout,
                             [this, name = service, applied](const Result<directors::Survey>& s) {
                               seen(name, applied, s);
                             });
  }
}

void DirectorWatcher::seen(const std::string& service, Index applied,
                           const Result<directors::Survey>& survey) {
  Watched& watched = watched_.at(service);
  watched.looking = false;
  core::DirectorView view{.seen = applied};
  if (!survey) {
    view.problem = survey.error().what;
  } else {
    view.process = survey->process;
    for (const auto& [node, server] : watched.watch.servers) {
      const auto found = survey->servers.find(server);
      if (found != survey->servers.end()) view.servers.emplace(node, found->second.admin);
    }
  }
  report_({{service, std::move(view)}});
}

}  // namespace fettle::daemon
