#include "tests/raft/story_words.h"

#include <variant>

#include "base/bytes.h"

namespace fettle::raft::story {
namespace {

std::string number(std::uint64_t value) { return std::to_string(value); }

std::string said(const VoteRequest& request) {
  return std::string(request.pre ? "asks for a pre-vote" : "asks for a vote") +
         (request.transfer ? " as told by the leader" : "") + ", its log ends " +
         position(request.last_index, request.last_term);
}

std::string said(const VoteReply& reply) {
  return std::string(reply.granted ? "grants the " : "refuses the ") +
         (reply.pre ? "pre-vote" : "vote");
}

std::string said(const Append& append) {
  return "append after " + position(append.prev_index, append.prev_term) + " " +
         words(append.entries) + " commit " + number(append.commit.value) +
         (append.round == 0 ? "" : " round " + number(append.round));
}

std::string said(const AppendReply& reply) {
  const std::string round = reply.round == 0 ? "" : " round " + number(reply.round);
  if (reply.success) return "has all up to " + number(reply.match.value) + round;
  return "refuses what follows " + number(reply.match.value) + ", hint " +
         position(reply.hint_index, reply.hint_term) + round;
}

std::string said(const SnapshotChunk& chunk) {
  const std::uint64_t end = chunk.offset + chunk.data.size();
  return "snapshot " + position(chunk.meta.index, chunk.meta.term) + " " +
         words(chunk.meta.configuration) + " of " + number(chunk.meta.configuration_index.value) +
         ", bytes " + number(chunk.offset) + " to " + number(end) + " of " + number(chunk.total) +
         " \"" + chunk.data + "\"";
}

std::string said(const SnapshotReply& reply) {
  if (reply.done) return "needs no more of it, has all up to " + number(reply.match.value);
  return "holds " + number(reply.held) + " bytes of snapshot " + position(reply.index, reply.term);
}

std::string said(const TimeoutNow&) { return "campaign now"; }

}  // namespace

std::string position(Index index, Term term) {
  return number(index.value) + "^" + number(term.value);
}

std::string words(const Entry& entry) {
  std::string what = " " + entry.data;
  if (entry.data.empty()) what = "";
  if (entry.kind == EntryKind::Noop) what = " no-op";
  if (entry.kind == EntryKind::Configuration) {
    what = " " + words(decode<Configuration>(entry.data).value_or(Configuration{}));
  }
  return "[" + position(entry.index, entry.term) + what + "]";
}

std::string words(const std::vector<Entry>& entries) {
  if (entries.empty()) return "[]";
  std::string all;
  for (const Entry& entry : entries) all += (all.empty() ? "" : " ") + words(entry);
  return all;
}

std::string words(const Configuration& configuration) {
  std::string all;
  for (const Server& server : configuration.servers) {
    all += (all.empty() ? "" : " ") + server.id;
    if (!server.voter) all += server.promote ? "(joining)" : "(learner)";
  }
  return "{" + all + "}";
}

std::string words(const Message& message) {
  return "term " + number(message.term.value) + ": " +
         std::visit([](const auto& body) { return said(body); }, message.body);
}

std::string words(const Persist& persist) {
  std::string all;
  const auto add = [&](const std::string& what) { all += (all.empty() ? "" : ", ") + what; };
  if (persist.hard) {
    add("term " + number(persist.hard->term.value) +
        (persist.hard->vote.empty() ? "" : " vote " + persist.hard->vote));
  }
  if (persist.truncate_from) add("cuts the log from " + number(persist.truncate_from->value));
  if (persist.snapshot != nullptr) {
    const SnapshotMeta& meta = persist.snapshot->meta;
    add("snapshot " + position(meta.index, meta.term) + " " + words(meta.configuration) + " of " +
        number(meta.configuration_index.value) + " \"" + persist.snapshot->data + "\"");
  }
  if (persist.compact_to) add("drops entries up to " + number(persist.compact_to->value));
  if (!persist.entries.empty()) add(words(persist.entries));
  return all;
}

std::string words(const Progress& progress) {
  std::string all(to_string(progress.state));
  all += ", match " + number(progress.match.value) + ", next " + number(progress.next.value);
  if (progress.state == ProgressState::Probe && progress.paused) all += ", one probe is out";
  if (!progress.inflight.empty()) all += ", unanswered " + number(progress.inflight.size());
  if (progress.snapshot != nullptr) {
    all += ", holds " + number(progress.held) + " of " + number(progress.snapshot->data.size()) +
           " bytes of snapshot " + number(progress.snapshot->meta.index.value);
  }
  return all;
}

}  // namespace fettle::raft::story
