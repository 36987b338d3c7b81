// Happy path: queued → delivered → told. Failures: the receiver fails: after its delay the same
// delivery goes out again, until its retries are spent, and that is told.
#include "alerts/outbox_sender.h"

#include <utility>

namespace fettle::alerts {

OutboxSender::OutboxSender(io::Loop& loop, ReceiverContext context, Finished finished)
    : loop_(loop), context_(std::move(context)), finished_(std::move(finished)) {}

void OutboxSender::send(const core::ReceiverSpec& receiver, Delivery delivery) {
  if (queued_.contains(delivery.key)) return;
  auto& lane = lanes_[receiver.name];
  if (lane == nullptr) {
    lane = std::make_unique<Lane>();
    lane->timer = std::make_unique<io::Timer>(loop_);
  }
  lane->spec = receiver;
  if (lane->queue.size() >= kQueuedPerReceiverMax) return;  // stays in the outbox
  queued_.insert(delivery.key);
  lane->queue.push_back(std::move(delivery));
  if (lane->queue.size() == 1) next(receiver.name);
}

void OutboxSender::stop() {
  lanes_.clear();
  queued_.clear();
}

void OutboxSender::next(const std::string& name) {
  Lane& lane = *lanes_.at(name);
  if (lane.queue.empty() || lane.in_flight) return;
  ++lane.attempt;
  auto made = make(lane.spec, context_);
  lane.in_flight = true;
  if (!made) {
    lane.timer->start(core::Duration{0}, [this, name, error = made.error()] {
      answered(name, std::unexpected(error));
    });
    return;
  }
  lane.receiver = std::move(*made);
  lane.receiver->deliver(lane.queue.front(),
                         [this, name](const Status& status) { answered(name, status); });
}

void OutboxSender::answered(const std::string& name, const Status& status) {
  Lane& lane = *lanes_.at(name);
  lane.in_flight = false;
  if (status) return finish(name, true, "");
  if (lane.attempt > lane.spec.retry.count) return finish(name, false, status.error().what);
  lane.timer->start(core::retry_delay(lane.spec.retry, lane.attempt), [this, name] { next(name); });
}

void OutboxSender::finish(const std::string& name, bool delivered, const std::string& why) {
  Lane& lane = *lanes_.at(name);
  const std::string key = lane.queue.front().key;
  lane.queue.pop_front();
  lane.attempt = 0;
  queued_.erase(key);
  finished_(key, delivered, why);
  if (lanes_.contains(name)) next(name);
}

}  // namespace fettle::alerts
