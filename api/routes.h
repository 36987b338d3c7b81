// Routes: a request → the backend → an answer. Knows methods, paths and status codes; no sockets.
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
  std::string idempotency_key;
  std::string body;
  bool may_write = false;   // came over the local socket
  std::string who;          // for the journal: who asked
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};

/// The HTTP status of an error's code.
int http_status(Code code);

/// Answers exactly once: at once, or when the backend has answered.
void route(const Request& request, Backend& backend, std::function<void(Response)> done);

}  // namespace fettle::api
