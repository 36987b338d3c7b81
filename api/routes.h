// Routes: a request → the backend → an answer. Knows methods, paths and status codes; no sockets.
// Driven by server.cc on the work loop. `/v1/events` is a stream and therefore server.cc's own.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "api/backend.h"

namespace fettle::api {

struct Request {
  std::string method;
  std::string path;
  std::map<std::string, std::string> query;
  std::string content_type;
  std::string
      idempotency_key;   // the client's, or one that the server made; never empty for a write
  std::string if_match;  // the header's, as it came
  std::string body;
  bool may_write = false;  // came over the local socket
  std::string who;         // who asked, for the journal
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};

inline constexpr std::size_t kIdempotencyKeyBytesMax = 128;

/// The HTTP status of an error's code.
int http_status(Code code);
/// `{"error":{"code","message","path"}}` with a status that no Code has (403, 405, 411, 413).
Response error_response(int status, const std::string& code, const std::string& message,
                        const std::string& path);

/// Answers exactly once: at once, or when the backend has answered.
void route(const Request& request, Backend& backend, std::function<void(Response)> done);

}  // namespace fettle::api
