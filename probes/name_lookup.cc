#include "probes/name_lookup.h"

#include <utility>

namespace fettle::probes {

NameLookup::~NameLookup() { *asked_ = -1; }

void NameLookup::find(const core::Address& address, core::Duration timeout, Found found) {
  if (const auto known = context_.resolver.known(address.host, address.port)) {
    return found(*known);
  }
  found_ = std::move(found);
  const int number = ++*asked_;
  timer_.start(timeout, [this, host = address.host] {
    ++*asked_;  // a later answer is to nobody
    answer(fail(Code::Timeout, "resolve " + host + ": no answer in time"));
  });
  context_.resolver.resolve(address.host, address.port,
                            [this, asked = asked_, number](Result<io::SockAddress> resolved) {
                              if (*asked == number) answer(std::move(resolved));
                            });
}

void NameLookup::answer(Result<io::SockAddress> address) {
  timer_.stop();
  const Found found = std::exchange(found_, nullptr);
  found(std::move(address));
}

}  // namespace fettle::probes
