// KindSpec: what a probe, action, director or receiver kind declares about itself as plain data, in
// its folder's kinds.inc. `spec` takes the schema from it, the documentation its reference, the
// tests their contract test. A kind is one .cc and one FETTLE_KIND entry.
//
//   FETTLE_KIND(tcp, "connect to the node's port",
//               .fault_class = FaultClass::Reachability, .affects = Affects::Down,
//               .options = {{.name = "port", .type = OptionType::Integer, ...}})
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/words.h"

namespace fettle::core {

enum class OptionType : std::uint8_t {
  Text,
  Integer,
  Boolean,
  Span,
  TextList,     // Span: a duration
  Path,         // an HTTP path: begins with '/'
  Url,          // http:// or https://
  Socket,       // absolute path of a unix socket, or host:port
  Secret,       // the name of a secret, never its value
  Receiver,     // the name of a receiver of this spec
  Template,     // text with ${a.b} field references
  Argv,         // a program's absolute path, then its arguments, each a Template; no shell
  StatusRange,  // an HTTP status, or a range of them: 200, 200-299
};

struct OptionSpec {
  std::string name;
  OptionType type = OptionType::Text;
  bool required = false;
  std::string default_text;  // as the YAML would write it; empty: none
  std::int64_t min = 0;      // bounds of an Integer, or of a Span in ns; min == max: none
  std::int64_t max = 0;
  std::string doc;                   // one line for the reference
  std::vector<std::string> words{};  // of a Text: the only ones; empty: any
};

struct KindSpec {
  std::string name;
  std::string doc;
  std::vector<OptionSpec> options;
  // Probe kinds: what a failure means unless the probe says otherwise.
  FaultClass fault_class = FaultClass::Service;
  Affects affects = Affects::Down;
  // Action kinds (DESIGN §8).
  bool idempotent = false;  // doing it twice leaves the same state
  bool reversible = false;
  bool destructive = false;
  bool interruptible = false;
  // Where an action runs: exactly one of these.
  bool on_director = false;  // one task a director host of the service
  bool on_member = false;    // one task at the member that the step's `on` names, else at the
                             // node's `host`; its texts are Templates, filled in for each attempt
  bool by_engine = false;    // needs no host: decided in the log (wait.healthy, notify.send)
  /// Of an on_member kind: the word of the host's allow-list that must hold its Argv's program.
  std::string allow{};
};

}  // namespace fettle::core
