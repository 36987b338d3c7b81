// EventRing: the last events, so that a stream that was cut can go on where it stopped. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/state.h"

namespace fettle::api {

/// The place of an event in the stream: `index.n`.
struct EventId {
  std::uint64_t index = 0;
  std::uint32_t n = 0;
  friend auto operator<=>(const EventId&, const EventId&) = default;
};
std::optional<EventId> parse_event_id(const std::string& text);

class EventRing {
 public:
  static constexpr std::size_t kKept = 8192;

  void add(const core::Event& event);
  /// The events after `id`; `gap` tells that some of them are no longer kept.
  struct Since {
    bool gap = false;
    std::vector<core::Event> events;
  };
  Since since(EventId id) const;

 private:
  std::deque<core::Event> events_;
  bool dropped_ = false;
};

/// One server-sent event (WHATWG HTML, 9.2) with its id.
std::string sse_text(const core::Event& event);
std::string sse_gap();

}  // namespace fettle::api
