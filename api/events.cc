#include "api/events.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "api/views.h"

namespace fettle::api {
namespace {

constexpr std::uint32_t kWholeEntry = std::numeric_limits<std::uint32_t>::max();
constexpr EventId kEverything{0, kWholeEntry};

}  // namespace

EventId id_of(const core::Event& event) { return {event.index.value, event.n}; }

std::optional<EventId> parse_event_id(std::string_view text) {
  EventId id{0, kWholeEntry};
  const char* end = text.data() + text.size();
  const auto index = std::from_chars(text.data(), end, id.index);
  if (index.ec != std::errc()) return std::nullopt;
  if (index.ptr == end) return id;
  if (*index.ptr != '.') return std::nullopt;
  const auto n = std::from_chars(index.ptr + 1, end, id.n);
  if (n.ec != std::errc() || n.ptr != end) return std::nullopt;
  return id;
}

void EventRing::add(const core::Event& event) {
  if (events_.size() >= kKept) {
    dropped_ = id_of(events_.front());
    events_.pop_front();
  }
  newest_ = id_of(event);
  events_.push_back(event);
}

EventRing::Batch EventRing::after(EventId id, std::size_t events_max) const {
  Batch batch;
  if (id != kEverything && !events_.empty()) {
    // What came before the first event that this process saw is unknown, so it counts as a gap.
    const bool before_first = id.index > 0 && id < id_of(events_.front());
    batch.gap = dropped_ ? id < *dropped_ : before_first;
  }
  auto at = std::ranges::upper_bound(events_, id, {}, id_of);
  for (; at != events_.end() && batch.events.size() < events_max; ++at)
    batch.events.push_back(&*at);
  return batch;
}

std::string event_line(const core::Event& event) { return dump(event_view(event)) + "\n"; }

std::string sse_text(const core::Event& event) {
  const EventId id = id_of(event);
  return "id: " + std::to_string(id.index) + "." + std::to_string(id.n) + "\nevent: " + event.kind +
         "\ndata: " + event_line(event) + "\n";
}

std::string gap_line() {
  return dump({{"kind", "gap"}, {"reason", "events before this are no longer kept"}}) + "\n";
}

std::string sse_gap() { return "event: gap\ndata: " + gap_line() + "\n"; }

}  // namespace fettle::api
