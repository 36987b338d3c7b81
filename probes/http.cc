// Happy path: (resolve) → GET on the kept connection → a status within the expected range → Pass.
// Failures: as the connection ends; another status is BadStatus; what is not HTTP is BadBody; 401,
// 403, 404 and 429 are about our question, not the node's health: "could not look". A kept
// connection that the node's side closes raises the alarm.
#include <charconv>
#include <utility>

#include "io/http_client.h"
#include "probes/name_lookup.h"
#include "probes/probe.h"

namespace fettle::probes {
namespace {

struct Range {
  int low = 200;
  int high = 299;
};

Result<Range> parse_range(const std::string& text) {
  Range range;
  const auto number = [](std::string_view part, int& into) {
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), into);
    return error == std::errc() && end == part.data() + part.size() && into >= 100 && into <= 599;
  };
  const std::size_t dash = text.find('-');
  const std::string_view view = text;
  const bool ok = dash == std::string::npos
                      ? number(view, range.low) && number(view, range.high)
                      : number(view.substr(0, dash), range.low) &&
                            number(view.substr(dash + 1), range.high) && range.low <= range.high;
  if (!ok) return fail(Code::Invalid, "expect_status: '" + text + "' is no status or range");
  return range;
}

bool about_our_question(int status) {
  return status == 401 || status == 403 || status == 404 || status == 429;
}

class HttpProbe final : public Probe {
 public:
  HttpProbe(const core::Address& address, std::string path, Range expected, ProbeContext& context)
      : address_(address),
        path_(std::move(path)),
        expected_(expected),
        name_(context),
        connection_(context.loop) {
    connection_.set_on_idle_closed([this] {
      if (on_alarm_) on_alarm_();
    });
  }

  void look(core::Duration timeout, Done done) override {
    done_ = std::move(done);
    began_ = io::Loop::now();
    timeout_ = timeout;
    name_.find(address_, timeout, [this](const Result<io::SockAddress>& address) {
      if (!address) return finish(core::Outcome::CannotProbe, address.error().what);
      ask(*address);
    });
  }

 private:
  void ask(const io::SockAddress& to) {
    connection_.request({.tcp = to, .unix_path = ""},
                        {.path = path_, .host = core::to_string(address_)}, timeout_,
                        [this](io::HttpResult result) { judge(result); });
  }
  void judge(const io::HttpResult& result) {
    if (const auto* failure = std::get_if<io::HttpFailure>(&result)) {
      if (failure->timeout) return finish(core::Outcome::Timeout, failure->text);
      if (failure->garbage) return finish(core::Outcome::BadBody, failure->text);
      return finish(failure->end ? outcome_of(*failure->end) : core::Outcome::Reset, failure->text);
    }
    const int status = std::get<io::HttpAnswer>(result).status;
    const bool pass = status >= expected_.low && status <= expected_.high;
    finish(pass                         ? core::Outcome::Pass
           : about_our_question(status) ? core::Outcome::CannotProbe
                                        : core::Outcome::BadStatus,
           "status " + std::to_string(status));
  }
  void finish(core::Outcome outcome, const std::string& detail) {
    const Done done = std::exchange(done_, nullptr);
    done({outcome, detail.substr(0, kDetailBytesMax), io::Loop::now() - began_});
  }

  core::Address address_;
  std::string path_;
  Range expected_;
  NameLookup name_;
  io::HttpConnection connection_;
  Done done_;
  core::Time began_;
  core::Duration timeout_{0};
};

}  // namespace

Result<std::unique_ptr<Probe>> make_http(const core::ProbeSpec& spec, const core::Address& address,
                                         ProbeContext& context) {
  const std::string path = core::text_option(spec.options, "path");
  const std::string status = core::text_option(spec.options, "expect_status");
  FETTLE_TRY(const Range expected, parse_range(status.empty() ? "200-299" : status));
  return std::make_unique<HttpProbe>(address, path.empty() ? "/health" : path, expected, context);
}

}  // namespace fettle::probes
