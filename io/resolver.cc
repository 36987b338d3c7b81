// Happy path: resolve → queued → getaddrinfo on the pool → every waiter is answered.
// Failures: no such name or no DNS: the last good address if there is one, else the error.
#include "io/resolver.h"

#include <netdb.h>

#include <array>

#include "base/check.h"

namespace fettle::io {

struct Resolver::Lookup {
  uv_getaddrinfo_t request{};
  Resolver* owner = nullptr;
  std::string host;
  std::weak_ptr<bool> alive;
};

Resolver::~Resolver() { *alive_ = false; }

std::optional<SockAddress> Resolver::known(const std::string& host, std::uint16_t port) {
  if (auto numeric = parse_numeric(host, port)) return numeric;
  const auto cached = cache_.find(host);
  if (cached == cache_.end()) return std::nullopt;
  if (Loop::now() - cached->second.at > kFreshFor) look_up(host);
  return parse_numeric(cached->second.numeric, port);
}

void Resolver::resolve(const std::string& host, std::uint16_t port, Done done) {
  if (auto address = known(host, port)) {
    const auto alive = std::weak_ptr<bool>(alive_);
    loop_.post([alive, address = *address, done = std::move(done)] {
      if (const auto still = alive.lock(); still && *still) done(address);
    });
    return;
  }
  if (waiting_count_ >= kWaitingMax) {
    loop_.post([alive = std::weak_ptr<bool>(alive_), done = std::move(done)] {
      if (const auto still = alive.lock(); still && *still) {
        done(fail(Code::Busy, "too many names wait to be resolved"));
      }
    });
    return;
  }
  look_up(host);
  ++waiting_count_;
  waiting_[host].push_back({port, std::move(done)});
}

/// Queues the name unless it is asked for already.
void Resolver::look_up(const std::string& host) {
  if (!waiting_.try_emplace(host).second) return;
  queue_.push_back(host);
  start_next();
}

void Resolver::start_next() {
  while (in_flight_ < kInFlightMax && !queue_.empty()) {
    const std::string host = std::move(queue_.front());
    queue_.pop_front();
    auto lookup = std::make_unique<Lookup>();
    lookup->owner = this;
    lookup->host = host;
    lookup->alive = alive_;
    lookup->request.data = lookup.get();
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    ++in_flight_;
    const int rc = uv_getaddrinfo(
        loop_.raw(), &lookup->request,
        [](uv_getaddrinfo_t* request, int status, addrinfo* found) {
          const std::unique_ptr<Lookup> owned(static_cast<Lookup*>(request->data));
          std::array<char, NI_MAXHOST> text{};
          const bool ok = status == 0 && found != nullptr &&
                          getnameinfo(found->ai_addr, found->ai_addrlen, text.data(), text.size(),
                                      nullptr, 0, NI_NUMERICHOST) == 0;
          uv_freeaddrinfo(found);
          const auto alive = owned->alive.lock();
          if (!alive || !*alive) return;
          if (ok) {
            owned->owner->finished(owned->host, std::string(text.data()));
          } else {
            owned->owner->finished(
                owned->host,
                fail(Code::Unreachable, "resolve " + owned->host + ": " + uv_strerror(status)));
          }
        },
        host.c_str(), nullptr, &hints);
    if (rc == 0) {
      static_cast<void>(lookup.release());
    } else {
      const auto alive = std::weak_ptr<bool>(alive_);
      loop_.post([this, alive, host, rc] {
        const auto still = alive.lock();
        if (still && *still) finished(host, fail(Code::Io, uv_strerror(rc)));
      });
    }
  }
}

void Resolver::finished(const std::string& host, Result<std::string> numeric) {
  --in_flight_;
  if (numeric) {
    cache_.insert_or_assign(host, Cached{*numeric, Loop::now()});
  } else if (const auto last = cache_.find(host); last != cache_.end()) {
    numeric = last->second.numeric;
  }
  auto waiters = std::move(waiting_[host]);
  waiting_.erase(host);
  waiting_count_ -= waiters.size();
  const auto alive = alive_;
  for (Waiting& waiter : waiters) {
    if (!numeric) {
      waiter.done(std::unexpected(numeric.error()));
    } else if (const auto address = parse_numeric(*numeric, waiter.port)) {
      waiter.done(*address);
    } else {
      waiter.done(fail(Code::Unreachable, "resolve " + host + ": " + *numeric));
    }
    if (!*alive) return;
  }
  start_next();
}

}  // namespace fettle::io
