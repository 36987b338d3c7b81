// Receiver: one way to tell people. Asynchronous; each delivery is answered exactly once, on the
// loop, never from within; destroying it is silent. A receiver that is dead or slow delays nobody
// else.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/kind.h"
#include "core/model.h"
#include "io/http_post.h"

namespace fettle::alerts {

/// One message; `key` is the delivery id, the same over retries and leaders.
struct Delivery {
  std::string key;
  std::string body;
};

/// The secret's text by its name; never shown, never logged.
using Secrets = std::function<Result<std::string>(const std::string& name)>;

struct ReceiverContext {
  io::HttpPoster& poster;
  Secrets secrets;
};

class Receiver {
 public:
  virtual ~Receiver() = default;
  virtual void deliver(const Delivery& delivery, std::function<void(Status)> done) = 0;
};

const std::vector<core::KindSpec>& kinds();
Result<std::unique_ptr<Receiver>> make(const core::ReceiverSpec& spec, ReceiverContext& context);

/// `sha256=<hex>` of the HMAC-SHA256 of the body, as X-Fettle-Signature carries it.
std::string signature(const std::string& secret, const std::string& body);

}  // namespace fettle::alerts
