// OutboxSender: the leader's delivery of the replicated outbox. One delivery at a time and in order
// for each receiver, retried with its back-off; receivers do not wait for each other. What is known
// to be delivered, or given up, is told once; the rest is the next leader's.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "alerts/receiver.h"
#include "io/timer.h"

namespace fettle::alerts {

class OutboxSender {
 public:
  static constexpr std::size_t kQueuedPerReceiverMax = 4096;
  using Finished =
      std::function<void(const std::string& key, bool delivered, const std::string& why)>;

  OutboxSender(io::Loop& loop, ReceiverContext context, Finished finished);
  OutboxSender(const OutboxSender&) = delete;
  OutboxSender& operator=(const OutboxSender&) = delete;

  /// Queues one delivery; a key that is queued already is left alone.
  void send(const core::ReceiverSpec& receiver, Delivery delivery);
  /// Not the leader any more: forgets everything.
  void stop();

 private:
  struct Lane {
    core::ReceiverSpec spec;
    std::unique_ptr<Receiver> receiver;
    std::unique_ptr<io::Timer> timer;
    std::deque<Delivery> queue;
    std::uint32_t attempt = 0;
    bool in_flight = false;
  };
  void next(const std::string& name);
  void answered(const std::string& name, const Status& status);
  void finish(const std::string& name, bool delivered, const std::string& why);

  io::Loop& loop_;
  ReceiverContext context_;
  Finished finished_;
  std::map<std::string, std::unique_ptr<Lane>> lanes_;
  std::set<std::string> queued_;
};

}  // namespace fettle::alerts
