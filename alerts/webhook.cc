// Happy path: sign → POST → 2xx. Failures: no connection, no answer in time, another status; the
// caller retries under the same delivery id, so a receiver that counts ids sees each message once.
#include <openssl/hmac.h>

#include <array>

#include "alerts/receiver.h"

namespace fettle::alerts {
namespace {

class Webhook final : public Receiver {
 public:
  Webhook(std::string url, std::string secret, io::HttpPoster& poster)
      : url_(std::move(url)), secret_(std::move(secret)), poster_(poster) {}
  ~Webhook() override { *alive_ = false; }

  void deliver(const Delivery& delivery, std::function<void(Status)> done) override {
    io::PostRequest request;
    request.url = url_;
    request.headers = {"Content-Type: application/json", "User-Agent: fettle",
                       "X-Fettle-Delivery: " + delivery.key};
    if (!secret_.empty()) {
      request.headers.push_back("X-Fettle-Signature: " + signature(secret_, delivery.body));
    }
    request.body = delivery.body;
    poster_.post(std::move(request), [alive = alive_, done = std::move(done)](Result<long> status) {
      if (!*alive) return;
      if (!status) return done(std::unexpected(status.error()));
      if (*status >= 200 && *status < 300) return done({});
      done(fail(Code::Refused, "the receiver answered " + std::to_string(*status)));
    });
  }

 private:
  std::string url_;
  std::string secret_;
  io::HttpPoster& poster_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

std::string signature(const std::string& secret, const std::string& body) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(body.data()), body.size(), mac.data(), &size);
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text = "sha256=";
  for (unsigned i = 0; i < size; ++i) {
    text += kHex[mac[i] >> 4U];
    text += kHex[mac[i] & 0x0fU];
  }
  return text;
}

Result<std::unique_ptr<Receiver>> make_webhook(const core::ReceiverSpec& spec,
                                               ReceiverContext& context) {
  std::string url = core::text_option(spec.options, "url");
  if (const std::string name = core::text_option(spec.options, "url_secret"); !name.empty()) {
    FETTLE_TRY(url, context.secrets(name));
  }
  std::string secret;
  if (const std::string name = core::text_option(spec.options, "sign_secret"); !name.empty()) {
    FETTLE_TRY(secret, context.secrets(name));
  }
  return std::make_unique<Webhook>(std::move(url), std::move(secret), context.poster);
}

}  // namespace fettle::alerts
