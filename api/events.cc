#include "api/events.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "api/views.h"

namespace fettle::api {
namespace {

EventId id_of(const core::Event& event) { return {event.index.value, event.n}; }

}  // namespace

std::optional<EventId> parse_event_id(const std::string& text) {
  EventId id;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, id.index);
  if (first.ec != std::errc()) return std::nullopt;
  if (first.ptr == end) return EventId{id.index, ~std::uint32_t{0}};
  if (*first.ptr != '.') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, id.n);
  if (second.ec != std::errc() || second.ptr != end) return std::nullopt;
  return id;
}

void EventRing::add(const core::Event& event) {
  if (events_.size() >= kKept) {
    events_.pop_front();
    dropped_ = true;
  }
  events_.push_back(event);
}

EventRing::Since EventRing::since(EventId id) const {
  Since found;
  found.gap = dropped_ && !events_.empty() && id < id_of(events_.front());
  for (const core::Event& event : events_) {
    if (id_of(event) > id) found.events.push_back(event);
  }
  return found;
}

std::string sse_text(const core::Event& event) {
  const auto view = event_view(event);
  return "id: " + view["id"].get<std::string>() + "\nevent: " + event.kind + "\ndata: " + dump(view) + "\n\n";
}

std::string sse_gap() {
  return "event: gap\ndata: {\"kind\":\"gap\",\"reason\":\"older events are no longer kept\"}\n\n";
}

}  // namespace fettle::api
