// Group: the real Raft cores of a story, with a clock, disks and a network that do only what the
// story says. Each command returns its trace; the invariants of tests/support hold after each step,
// or `broken()` says which does not.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "raft/raft.h"
#include "tests/support/raft_invariants.h"

namespace fettle::raft::story {

class Group {
 public:
  /// Carries out one line of a story (docs/stories.md has them all). Returns its trace, a line a
  /// fact; a line that cannot be carried out is broken().
  std::string run(const std::string& line);
  /// Empty: everything held so far, and every line was understood.
  std::string broken() const;

 private:
  using Args = std::vector<std::string>;
  enum class Loudness { Quiet, Brief, Full };
  enum class Kind { Decision, Traffic };
  struct Disk {
    HardState hard;
    std::shared_ptr<const Snapshot> snapshot;
    std::vector<Entry> entries;
    bool slow = false;            // keeps what `persist` says, when it says so
    std::deque<Persist> pending;  // written, not yet durable
  };
  struct Host {
    ServerId id;
    Disk disk;
    std::unique_ptr<Raft> raft;            // null: it is down
    std::map<Index, std::string> machine;  // its state as of each index it applied
    std::string role;                      // as last told
  };
  using Link = std::pair<ServerId, ServerId>;  // "*": any

  // Commands about servers and disks.
  void make_group(const Args& args);
  void set_option(const std::string& name, const std::string& value);
  void preset_disk(const Args& args);
  void join(const Args& args);
  void stop(const Args& args);
  void restart(const Args& args);
  void wipe(const Args& args);
  void found(const Args& args);
  void persist(const Args& args);
  // Commands to a server.
  void order(const Args& args);
  // Time.
  void tick(const ServerId& id);
  void pass(Instant span, bool delivering);
  // Network.
  void move_messages(const Args& args);
  void change_links(const Args& args);
  void settle();
  void deliver(const Message& message);
  // What is.
  void show(const Args& args);
  std::string state_of(const Host& host) const;

  Host& host(const ServerId& id);
  void start(Host& host);
  void step(Host& host, Input input);
  void tell(Host& host, const Output& out);
  void apply(Host& host, const Output& out);
  void tell_answers(const Host& host, const Output& out);
  void tell_role(Host& host);
  void send(const Host& host, const Message& message);
  void keep(Host& host);
  bool holds_durably(const ServerId& id, const Entry& entry);
  std::uint64_t token_for(const std::string& what);

  static std::vector<Link> links_of(const std::string& word);
  static bool is_on(const std::set<Link>& links, const Message& message);
  void headline(const std::string& text);
  void note(const ServerId& who, const std::string& text, Kind kind);
  void wrong(const std::string& what);

  Instant now_{0};
  Config config_;
  bool same_seed_ = false;
  Configuration first_;
  std::map<ServerId, Host> hosts_;
  std::deque<Message> network_;  // sent, not delivered; oldest first
  std::set<Link> cut_;           // what is sent here is lost
  std::set<Link> held_;          // what is sent here waits for `deliver` or `release`
  std::unique_ptr<RaftInvariants> invariants_;
  std::map<std::uint64_t, std::string> asked_;
  bool settling_ = false;  // sends are told when they are delivered
  Loudness loudness_ = Loudness::Full;
  std::string trace_;
  std::string wrong_;
};

}  // namespace fettle::raft::story
