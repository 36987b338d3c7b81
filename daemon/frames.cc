// What peers say, frame by frame.
#include "daemon/group.h"
#include "daemon/log.h"

namespace fettle::daemon {

void Group::on_up(const std::string& peer) {
  liveness_.up(peer, io::Loop::now());
  if (leading_) {
    commit_facts(links_->hello(peer)->facts);
    resend_to({peer});
  }
  if (peer == driver_->raft().leader()) {
    send_answers();
    tell_all_links();
    to_work([this, leader = peer, generation = engine_.state().generation,
             term = driver_->raft().term()] { events_.leader_changed(leader, generation, term); });
  }
}

void Group::on_down(const std::string& peer) {
  liveness_.down(peer, io::Loop::now());
  agents_moved(reach_.lost(peer));
}

void Group::on_frame(const std::string& peer, wire::Frame frame) {
  std::visit([&](auto& held) { on(peer, held); }, frame);
}

void Group::on(const std::string& peer, wire::Raft& frame) {
  if (frame.message.from != peer) return;
  if (std::holds_alternative<raft::Append>(frame.message.body)) leader_heard_ = io::Loop::now();
  driver_->step(raft::Received{std::move(frame.message)});
}

void Group::on(const std::string& peer, wire::Report& frame) {
  if (frame.report.observer == peer) take_report(frame.report);
}

void Group::on(const std::string& peer, wire::Directors& frame) {
  if (frame.report.host == peer) take_directors(frame.report);
}

void Group::on(const std::string& peer, wire::Forward& frame) {
  const auto done = reply_to(peer, frame.id);
  if (!leading_) return done(fail(Code::NotLeader, self() + " does not lead"));
  if (writes_.size() >= kPendingMax) return done(fail(Code::Busy, "too many commands wait"));
  propose(std::move(frame.command), std::move(frame.client), done);
}

void Group::on(const std::string&, wire::Forwarded& frame) {
  const auto found = forwards_.find(frame.id);
  if (found == forwards_.end()) return;
  Result<core::ClientAnswer> answer = frame.answer;
  if (!frame.ok) answer = fail(frame.code, frame.text);
  to_work([done = std::move(found->second.done), answer = std::move(answer)] { done(answer); });
  forwards_.erase(found);
}

void Group::on(const std::string& peer, wire::Perform& frame) {
  if (frame.task.key.host != self() || peer != driver_->raft().leader()) return;
  log::debug("task.received key=" + core::to_string(frame.task.key) + " from=" + peer);
  to_work([this, task = std::move(frame.task), below = frame.finished_below] {
    events_.perform(task, below);
  });
}

void Group::on(const std::string& peer, wire::Cancel& frame) {
  if (frame.key.host != self() || peer != driver_->raft().leader()) return;
  to_work([this, key = frame.key, fence = frame.fence, reason = std::move(frame.reason)] {
    events_.cancel(key, fence, reason);
  });
}

void Group::on(const std::string& peer, wire::Answer& frame) {
  if (frame.key.host == peer) take_answer(frame.key, frame.result);
}

void Group::on(const std::string& peer, wire::ReadIndex& frame) {
  if (driver_->raft().role() != raft::Role::Leader || peer_reads_.size() >= kPendingMax) {
    links_->send(peer, wire::ReadIndexReply{.id = frame.id});
    return;
  }
  const std::uint64_t token = next_token_++;
  peer_reads_.emplace(token, std::pair(peer, frame.id));
  driver_->step(raft::Read{token});
}

void Group::on(const std::string& peer, wire::ReadIndexReply& frame) {
  // Only what was asked of this peer: a reply must never confirm a dispatch of our own.
  if (peer == driver_->raft().leader()) {
    if (frame.ok) leader_quorum_ = frame.quorum_round_trip;
    client_read_done({frame.id, frame.ok, frame.index});
  }
  finish_reads();
}

}  // namespace fettle::daemon
