// EventRing: the last events, so that a stream that was cut can go on where it stopped. Pure: it
// knows no connection; server.cc keeps each stream's place in it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/state.h"

namespace fettle::api {

/// The place of an event in the stream: `index.n`.
struct EventId {
  std::uint64_t index = 0;
  std::uint32_t n = 0;
  friend auto operator<=>(const EventId&, const EventId&) = default;
};
/// `17.2`, or `17`: the end of entry 17, so `0` asks for everything that is kept.
std::optional<EventId> parse_event_id(std::string_view text);
EventId id_of(const core::Event& event);

class EventRing {
 public:
  static constexpr std::size_t kKept = 8192;

  void add(const core::Event& event);
  struct Batch {
    bool gap = false;                        // some events after `id` are not kept (any more)
    std::vector<const core::Event*> events;  // valid until the next add()
  };
  /// The first events after `id`, at most `events_max`.
  Batch after(EventId id, std::size_t events_max) const;
  /// The newest event's place; {0, 0} if there was none yet.
  EventId newest() const { return newest_; }

 private:
  std::deque<core::Event> events_;
  EventId newest_;
  std::optional<EventId> dropped_;  // the last event that fell out
};

/// The event as one line of JSON, with its newline.
std::string event_line(const core::Event& event);
/// One server-sent event (WHATWG HTML, 9.2) with its id.
std::string sse_text(const core::Event& event);
/// What stands in for events that are no longer kept; `event_line` and `sse_text` of the same.
std::string gap_line();
std::string sse_gap();

}  // namespace fettle::api
