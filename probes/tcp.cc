// Happy path: (resolve) → connect → hang up with RST → Pass.
// Failures: refused, reset, no connection in time; a name that cannot be resolved, or trouble of
// our own (descriptors, ports, routes), is "could not look".
#include <utility>

#include "io/timer.h"
#include "probes/name_lookup.h"
#include "probes/probe.h"

namespace fettle::probes {
namespace {

class TcpProbe final : public Probe {
 public:
  TcpProbe(core::Address address, ProbeContext& context)
      : address_(std::move(address)), context_(context), name_(context) {}

  void look(core::Duration timeout, Done done) override {
    done_ = std::move(done);
    began_ = io::Loop::now();
    timeout_ = timeout;
    name_.find(address_, timeout, [this](const Result<io::SockAddress>& address) {
      if (!address) return finish(core::Outcome::CannotProbe, address.error().what);
      connect(*address);
    });
  }

 private:
  void connect(const io::SockAddress& to) {
    stream_ = std::make_unique<io::Stream>(context_.loop);
    stream_->connect_tcp(to,
                         {.on_open = [this] { finish(core::Outcome::Pass, ""); },
                          .on_data = [](std::string_view) {},
                          .on_end =
                              [this](io::End end, const std::string& text) {
                                finish(outcome_of(end), "connect: " + text);
                              }},
                         timeout_);
  }
  void finish(core::Outcome outcome, std::string detail) {
    if (stream_ != nullptr) stream_->reset();
    stream_.reset();
    const Done done = std::exchange(done_, nullptr);
    done({outcome, detail.substr(0, kDetailBytesMax), io::Loop::now() - began_});
  }

  core::Address address_;
  ProbeContext& context_;
  NameLookup name_;
  std::unique_ptr<io::Stream> stream_;
  Done done_;
  core::Time began_;
  core::Duration timeout_{0};
};

}  // namespace

Result<std::unique_ptr<Probe>> make_tcp(const core::ProbeSpec&, const core::Address& address,
                                        ProbeContext& context) {
  return std::make_unique<TcpProbe>(address, context);
}

}  // namespace fettle::probes
