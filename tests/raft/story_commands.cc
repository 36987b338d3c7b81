// The lines of a story, word by word.
#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "base/bytes.h"
#include "tests/raft/story_group.h"
#include "tests/raft/story_words.h"

namespace fettle::raft::story {
namespace {

std::uint64_t number_of(const std::string& word) {
  return std::strtoull(word.c_str(), nullptr, 10);
}

/// `300ms` or `2s`.
Instant span_of(const std::string& word) {
  const auto count = static_cast<std::int64_t>(number_of(word));
  if (word.ends_with("ms")) return std::chrono::milliseconds(count);
  return std::chrono::seconds(count);
}

/// `a=b` → a, b; without `=` the second is empty.
std::pair<std::string, std::string> halves(const std::string& word) {
  const std::size_t at = word.find('=');
  if (at == std::string::npos) return {word, ""};
  return {word.substr(0, at), word.substr(at + 1)};
}

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, by);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

}  // namespace

std::string Group::run(const std::string& line) {
  trace_.clear();
  loudness_ = Loudness::Full;
  Args args = split(line, ' ');
  if (args.empty()) return "";
  if (args[0] == "quiet" || args[0] == "brief") {
    loudness_ = args[0] == "quiet" ? Loudness::Quiet : Loudness::Brief;
    args.erase(args.begin());
  }
  const std::string verb = args.empty() ? "" : args[0];
  if (verb != "group" && invariants_ == nullptr) wrong("a story begins with its group");
  if (!wrong_.empty()) return trace_;
  const std::map<std::string, std::pair<std::size_t, std::function<void()>>> verbs{
      {"group", {2, [&] { make_group(args); }}},
      {"disk", {2, [&] { preset_disk(args); }}},
      {"join", {2, [&] { join(args); }}},
      {"stop", {2, [&] { stop(args); }}},
      {"restart", {2, [&] { restart(args); }}},
      {"wipe", {2, [&] { wipe(args); }}},
      {"found", {2, [&] { found(args); }}},
      {"slow", {2, [&] { host(args[1]).disk.slow = true; }}},
      {"persist", {2, [&] { persist(args); }}},
      {"tick", {2, [&] { tick(args[1]); }}},
      {"elect", {2, [&] { tick(args[1]), settle(); }}},
      {"time", {2, [&] { pass(span_of(args[1]), false); }}},
      {"run", {2, [&] { pass(span_of(args[1]), true); }}},
      {"settle", {1, [&] { settle(); }}},
      {"deliver", {2, [&] { move_messages(args); }}},
      {"drop", {2, [&] { move_messages(args); }}},
      {"repeat", {2, [&] { move_messages(args); }}},
      {"cut", {2, [&] { change_links(args); }}},
      {"hold", {2, [&] { change_links(args); }}},
      {"heal", {1, [&] { change_links(args); }}},
      {"propose", {3, [&] { order(args); }}},
      {"read", {2, [&] { order(args); }}},
      {"transfer", {2, [&] { order(args); }}},
      {"add", {3, [&] { order(args); }}},
      {"promote", {3, [&] { order(args); }}},
      {"remove", {3, [&] { order(args); }}},
      {"compact", {3, [&] { order(args); }}},
      {"lost", {3, [&] { order(args); }}},
      {"state", {1, [&] { show(args); }}},
      {"log", {1, [&] { show(args); }}},
      {"members", {1, [&] { show(args); }}},
      {"progress", {2, [&] { show(args); }}},
      {"network", {1, [&] { show(args); }}},
  };
  const auto found = verbs.find(verb);
  if (found == verbs.end()) {
    wrong("unknown command: " + line);
  } else if (args.size() < found->second.first) {
    wrong("too few words: " + line);
  } else {
    found->second.second();
  }
  return trace_;
}

void Group::make_group(const Args& args) {
  if (invariants_ != nullptr) return wrong("a story has one group");
  Configuration first;
  for (std::size_t i = 1; i < args.size(); ++i) {
    const auto [name, value] = halves(args[i]);
    if (name == "learner") {
      first.servers.push_back({.id = value, .voter = false, .info = ""});
    } else if (value.empty()) {
      first.servers.push_back({.id = name, .info = ""});
    } else {
      set_option(name, value);
    }
  }
  std::ranges::sort(first.servers, {}, &Server::id);
  first_ = first;
  invariants_ = std::make_unique<RaftInvariants>(
      first, [this](const ServerId& id, const Entry& entry) { return holds_durably(id, entry); });
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->meta.configuration = first;
  for (const Server& server : first.servers) {
    Host& host = hosts_[server.id];
    host.id = server.id;
    host.disk.snapshot = snapshot;
    start(host);
  }
}

void Group::set_option(const std::string& name, const std::string& value) {
  const std::size_t number = number_of(value);
  if (name == "seed" && value == "same") {
    same_seed_ = true;
  } else if (name == "trailing") {
    config_.trailing_entries = number;
  } else if (name == "append") {
    config_.append_bytes_max = number;
  } else if (name == "inflight") {
    config_.inflight_max = number;
  } else if (name == "chunk") {
    config_.chunk_bytes_max = number;
  } else if (name == "uncommitted") {
    config_.uncommitted_bytes_max = number;
  } else {
    wrong("unknown option: " + name);
  }
}

/// `disk a term=6 vote=b log=1,1,4`: a begins with this, the log's terms in order.
void Group::preset_disk(const Args& args) {
  Host& preset = host(args[1]);
  if (!invariants_->record().empty()) return wrong("a disk is preset before anything happens");
  preset.disk.entries.clear();
  for (std::size_t i = 2; i < args.size(); ++i) {
    const auto [name, value] = halves(args[i]);
    if (name == "term") preset.disk.hard.term = Term{number_of(value)};
    if (name == "vote") preset.disk.hard.vote = value;
    if (name != "log") continue;
    for (const std::string& term : split(value, ',')) {
      preset.disk.entries.push_back({Term{number_of(term)}, Index{preset.disk.entries.size() + 1},
                                     EntryKind::Command, "t" + term});
    }
  }
  start(preset);
}

void Group::join(const Args& args) {
  Host& host = hosts_[args[1]];
  if (host.raft != nullptr) return wrong(args[1] + " is there already");
  host.id = args[1];
  start(host);
}

void Group::stop(const Args& args) {
  Host& stopped = host(args[1]);
  stopped.raft.reset();
  if (!stopped.disk.pending.empty()) {
    note(stopped.id, "loses " + std::to_string(stopped.disk.pending.size()) + " unfinished writes",
         Kind::Decision);
  }
  stopped.disk.pending.clear();
}

void Group::restart(const Args& args) {
  Host& back = host(args[1]);
  if (back.raft != nullptr) return wrong(args[1] + " is up");
  start(back);
  headline(state_of(back));
}

/// `wipe a b`: their disks are lost, and they start again.
void Group::wipe(const Args& args) {
  for (std::size_t i = 1; i < args.size(); ++i) {
    Host& wiped = host(args[i]);
    wiped.disk = Disk{};
    start(wiped);
    headline(state_of(wiped));
  }
}

void Group::found(const Args& args) {
  headline(args[1] + " is told to begin");
  step(host(args[1]), Found{first_});
}

/// `persist a`: all that is under way. `persist a 1`: the oldest.
void Group::persist(const Args& args) {
  for (auto& [id, host] : hosts_) {
    if (args[1] != "all" && args[1] != id) continue;
    std::size_t left = args.size() > 2 ? number_of(args[2]) : host.disk.pending.size();
    for (; left > 0 && !host.disk.pending.empty(); --left) {
      headline(id + "'s disk has " + words(host.disk.pending.front()));
      keep(host);
    }
  }
}

void Group::order(const Args& args) {
  const std::string& verb = args[0];
  const std::string third = args.size() > 2 ? args[2] : "";
  std::string what;
  for (const std::string& word : args) what += (what.empty() ? "" : " ") + word;
  headline(args[1] + " is told: " + what);
  Host& to = host(args[1]);
  if (verb == "lost") return step(to, LeaderLost{third});
  if (verb == "compact") {
    const Index index{number_of(third)};
    const auto state = to.machine.find(index);
    return step(to, Compact{index, state == to.machine.end() ? "" : state->second});
  }
  const std::uint64_t token = token_for(what);
  if (verb == "propose") return step(to, Propose{token, third});
  if (verb == "transfer") return step(to, Transfer{token, third});
  if (verb == "promote") return step(to, PromoteServer{token, third});
  if (verb == "remove") return step(to, RemoveServer{token, third});
  if (verb == "add") {
    const bool promote = args.size() > 3 && args[3] == "promote";
    return step(to, AddServer{token, {.id = third, .info = "", .promote = promote}});
  }
  invariants_->read_asked(args[1], token);
  step(to, Read{token});
}

/// `a->b`, `a->*`, `*->b`; `a--b` is both ways; `all`.
std::vector<Group::Link> Group::links_of(const std::string& word) {
  if (word == "all") return {{"*", "*"}};
  const std::size_t one_way = word.find("->");
  if (one_way != std::string::npos) return {{word.substr(0, one_way), word.substr(one_way + 2)}};
  const std::size_t both = word.find("--");
  if (both == std::string::npos) return {};
  const ServerId left = word.substr(0, both);
  const ServerId right = word.substr(both + 2);
  return {{left, right}, {right, left}};
}

/// Of what is under way now: `deliver a->b`, `deliver first a->b`, `drop last a->b`, `repeat all`.
void Group::move_messages(const Args& args) {
  const bool first = args[1] == "first";
  const bool last = args[1] == "last";
  std::set<Link> links;
  for (std::size_t i = first || last ? 2 : 1; i < args.size(); ++i) {
    const auto named = links_of(args[i]);
    if (named.empty()) wrong("not a link: " + args[i]);
    links.insert(named.begin(), named.end());
  }
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < network_.size(); ++i) {
    if (is_on(links, network_[i])) chosen.push_back(i);
  }
  if (chosen.empty()) return wrong("nothing is under way there: " + args.back());
  if (first) chosen = {chosen.front()};
  if (last) chosen = {chosen.back()};
  std::vector<Message> messages;
  for (std::size_t i = chosen.size(); i-- > 0;) {
    const auto at = network_.begin() + static_cast<std::ptrdiff_t>(chosen[i]);
    messages.insert(messages.begin(), *at);
    if (args[0] != "repeat") network_.erase(at);
  }
  for (const Message& message : messages) {
    if (args[0] == "deliver") deliver(message);
    if (args[0] == "drop")
      headline("lost: " + message.from + " -> " + message.to + " " + words(message));
    if (args[0] == "repeat") network_.push_back(message);
  }
}

/// `cut a--b`, `hold a->b`, `heal`: all of them, or `heal a--b`.
void Group::change_links(const Args& args) {
  if (args.size() == 1) {
    cut_.clear();
    held_.clear();
  }
  for (std::size_t i = 1; i < args.size(); ++i) {
    const auto named = links_of(args[i]);
    if (named.empty()) wrong("not a link: " + args[i]);
    for (const Link& link : named) {
      if (args[0] == "cut") cut_.insert(link);
      if (args[0] == "hold") held_.insert(link);
      if (args[0] != "heal") continue;
      cut_.erase(link);
      held_.erase(link);
    }
  }
}

std::string Group::state_of(const Host& host) const {
  if (host.raft == nullptr) return host.id + " is down";
  const Raft& raft = *host.raft;
  std::string text = host.id + " is " + std::string(to_string(raft.role())) + " in term " +
                     std::to_string(raft.term().value);
  if (!raft.hard_state().vote.empty()) text += ", voted " + raft.hard_state().vote;
  if (!raft.leader().empty() && raft.leader() != host.id) text += ", follows " + raft.leader();
  return text + ", log ends " + position(raft.log().last_index(), raft.log().last_term()) +
         ", committed " + std::to_string(raft.commit_index().value) + ", machine \"" +
         host.machine.rbegin()->second + "\"";
}

/// `state`, `log`, `members` of one server or of all; `progress` of one; `network`.
void Group::show(const Args& args) {
  if (args[0] == "network") {
    for (const Message& one : network_) {
      headline(one.from + " -> " + one.to + " " + words(one));
    }
    return;
  }
  const ServerId of = args.size() > 1 ? args[1] : "";
  if (!of.empty()) host(of);
  for (const auto& [id, host] : hosts_) {
    if (!of.empty() && of != id) continue;
    if (args[0] == "state") headline(state_of(host));
    if (args[0] == "state" || host.raft == nullptr) continue;
    const Raft& raft = *host.raft;
    if (args[0] == "members") {
      headline(id + " goes by " + words(raft.configuration()) + " of " +
               std::to_string(raft.configuration_index().value));
    }
    if (args[0] == "log") {
      const Log& log = raft.log();
      headline(id + " has " +
               (log.base().value == 0 ? "" : "after " + std::to_string(log.base().value) + ": ") +
               words(log.slice(next(log.base()), kSnapshotBytesMax)));
    }
    if (args[0] != "progress") continue;
    for (const auto& [peer, progress] : raft.progress()) headline(peer + ": " + words(progress));
  }
}

}  // namespace fettle::raft::story
