// Client: what the commands ask of a daemon's API, over its local socket or http://. One request at
// a time; it turns a loop of its own until the answer is there.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "io/http_client.h"
#include "io/loop.h"

namespace fettle::cli {

using nlohmann::ordered_json;

class Client {
 public:
  static constexpr std::size_t kAnswerBytesMax = 256U * 1024 * 1024;
  static constexpr core::Duration kTimeout = std::chrono::seconds(15);
  /// A write whose outcome nobody knows is asked for again, under its key.
  static constexpr int kTriesInDoubt = 3;

  /// `server`: `http://host:port`, or empty: the unix socket.
  Client(std::string socket, std::string server);

  /// The answer's JSON; an error that the daemon answered keeps its code and text.
  Result<ordered_json> get(const std::string& path);
  Result<ordered_json> post(const std::string& path, const ordered_json& body);
  /// `headers` beside those that every write carries; without a body if it is null.
  Result<ordered_json> write(const std::string& method, const std::string& path,
                             const ordered_json& body,
                             const std::map<std::string, std::string>& headers = {});
  /// The answer's lines (newline-delimited JSON).
  Result<std::string> get_text(const std::string& path);
  /// Calls `on_event` with the data of each server-sent event until the stream ends; `last_id` is
  /// the last one seen, and is kept up to date.
  Status follow(const std::string& path, std::string& last_id,
                const std::function<void(const std::string& data)>& on_event);

 private:
  Result<io::HttpAnswer> ask(io::HttpRequest request, core::Duration timeout,
                             std::function<void(std::string_view)> on_body);
  Result<io::HttpConnection::Target> target();

  std::string socket_;
  std::string server_;
  io::Loop loop_;
};

/// `name` as a part of an URL's path or query (RFC 3986, 2.1).
std::string url_part(std::string_view name);

}  // namespace fettle::cli
