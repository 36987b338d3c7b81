#include "cli/commands.h"

#include <algorithm>
#include <cstdio>
#include <thread>

#include "cli/tables.h"

namespace fettle::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Follows a run to its end; a person who isolates a node wants to know that it is out.
Result<ordered_json> await_run(Client& client, std::uint64_t run) {
  constexpr auto kEvery = milliseconds(100);
  constexpr int kLooksMax = 600;
  Result<ordered_json> last = fail(Code::Timeout, "");
  for (int i = 0; i < kLooksMax; ++i) {
    last = client.get("/v1/runs/" + std::to_string(run));
    if (!last) return last;
    const std::string state = last->value("state", "");
    if (state != "running" && state != "waiting") return last;
    std::this_thread::sleep_for(kEvery);
  }
  return last;
}

int follow_run(const Common& common, Client& client, const ordered_json& answer,
               const std::string& wanted) {
  const auto run = await_run(client, answer.at("run").get<std::uint64_t>());
  if (!run) return say(run.error());
  if (common.format != Format::Table) {
    print_document(common.format, *run);
  } else {
    std::printf("%s\n", answer.value("message", "").c_str());
    print_run(*run);
  }
  return run->value("state", "") == wanted ? 0 : 1;
}

int act_on_node(const Common& common, const NodeOptions& options, const std::string& verb) {
  Client client(common.socket, common.server);
  ordered_json body = ordered_json::object();
  if (!options.reason.empty()) body["reason"] = options.reason;
  if (options.force) body["force"] = true;
  const auto answer = client.post("/v1/nodes/" + url_part(options.node) + "/" + verb, body);
  if (!answer || !answer->contains("run") || options.no_wait) return tell(common, answer);
  return follow_run(common, client, *answer, "succeeded");
}

/// Cancels or tries again, and follows the run to its end.
int order_run(const Common& common, const RunOptions& options, const std::string& verb) {
  Client client(common.socket, common.server);
  ordered_json body = ordered_json::object();
  if (!options.reason.empty()) body["reason"] = options.reason;
  const auto answer = client.post("/v1/runs/" + url_part(options.run) + "/" + verb, body);
  if (!answer || options.no_wait) return tell(common, answer);
  const std::string wanted = verb == "cancel" ? "cancelled" : "succeeded";
  return follow_run(common, client, *answer, wanted);
}

void say_stale(const ordered_json& answer) {
  const auto age = milliseconds(answer.value("stale_ms", std::int64_t{0}));
  const auto whole = std::chrono::duration_cast<seconds>(age).count();
  std::fprintf(stderr, "STALE: what this member last heard of the group, %lld s ago\n",
               static_cast<long long>(whole));
}

}  // namespace

int exit_code(Code code) {
  switch (code) {
    case Code::Invalid:
      return 2;
    case Code::NotLeader:
    case Code::Unreachable:
    case Code::Timeout:
      return 3;
    case Code::NotFound:
    case Code::Conflict:
    case Code::Refused:
      return 4;
    case Code::Busy:
    case Code::Cancelled:
    case Code::Corrupt:
    case Code::Io:
    case Code::InDoubt:
      return 1;
  }
  return 1;
}

int say(const Error& error) {
  std::fprintf(stderr, "%s\n", error.what.c_str());
  return exit_code(error.code);
}

int tell(const Common& common, const Result<ordered_json>& answer) {
  if (!answer) return say(answer.error());
  if (common.format != Format::Table) {
    print_document(common.format, *answer);
  } else {
    std::printf("%s\n", answer->value("message", "done").c_str());
  }
  return 0;
}

int show(const Common& common, const std::string& path, void (*print)(const ordered_json&)) {
  Client client(common.socket, common.server);
  auto answer = client.get(path);
  int code = 0;
  if (!answer && answer.error().code == Code::NotLeader) {
    code = say(answer.error());
    const char joint = path.find('?') == std::string::npos ? '?' : '&';
    answer = client.get(path + joint + "consistency=stale");
    if (answer) say_stale(*answer);
  }
  if (!answer) return say(answer.error());
  if (common.format == Format::Table) {
    print(*answer);
  } else {
    print_document(common.format, *answer);
  }
  return code;
}

int check_status(const Common& common) {
  constexpr int kWarning = 1;
  constexpr int kCritical = 2;
  constexpr int kUnknown = 3;
  const auto status = Client(common.socket, common.server).get("/v1/status");
  if (!status) {
    std::printf("UNKNOWN: %s\n", status.error().what.c_str());
    return kUnknown;
  }
  std::string down;
  std::string unknown;
  for (const ordered_json& service : (*status)["services"]) {
    if (service["verdict"] == "down") down += " " + cell(service["name"]);
    if (service["verdict"] == "unknown") unknown += " " + cell(service["name"]);
  }
  const std::string open = cell((*status)["open_incidents"]);
  if (!down.empty()) {
    std::printf("CRITICAL: down:%s; %s open incidents\n", down.c_str(), open.c_str());
    return kCritical;
  }
  if (open != "0" || (*status)["frozen"] == true) {
    std::printf("WARNING: %s open incidents%s\n", open.c_str(),
                (*status)["frozen"] == true ? "; frozen" : "");
    return kWarning;
  }
  if (!unknown.empty()) {
    std::printf("UNKNOWN: no quorum has a view yet of%s\n", unknown.c_str());
    return kUnknown;
  }
  std::printf("OK: %zu services, no open incident\n", (*status)["services"].size());
  return 0;
}

int events(const Common& common, const EventOptions& options) {
  Client client(common.socket, common.server);
  const auto print = [&](const std::string& data) {
    if (common.format == Format::Table) {
      const ordered_json event = ordered_json::parse(data, nullptr, false);
      if (event.is_object()) print_event(event);
    } else {
      print_item(common.format, data);
    }
  };
  std::string last = options.since;
  if (!options.follow) {
    const auto lines = client.get_text("/v1/events?since=" + url_part(last.empty() ? "0" : last));
    if (!lines) return say(lines.error());
    for (std::size_t at = 0; at < lines->size();) {
      const std::size_t end = std::min(lines->find('\n', at), lines->size());
      print(lines->substr(at, end - at));
      at = end + 1;
    }
    return 0;
  }
  for (;;) {
    const std::string before = last;
    const Status ended = client.follow("/v1/events", last, print);
    if (!ended && before == last) return say(ended.error());
    std::this_thread::sleep_for(seconds(1));  // it was cut: go on where it stopped
  }
}

int isolate(const Common& common, const NodeOptions& options) {
  return act_on_node(common, options, "isolate");
}

int restore(const Common& common, const NodeOptions& options) {
  return act_on_node(common, options, "restore");
}

int cancel(const Common& common, const RunOptions& options) {
  return order_run(common, options, "cancel");
}

int retry(const Common& common, const RunOptions& options) {
  return order_run(common, options, "retry");
}

int freeze(const Common& common, const FreezeOptions& options) {
  ordered_json body{{"for", options.length}};
  if (!options.reason.empty()) body["reason"] = options.reason;
  if (!options.service.empty()) body["service"] = options.service;
  return tell(common, Client(common.socket, common.server).post("/v1/freeze", body));
}

int unfreeze(const Common& common, const FreezeOptions& options) {
  ordered_json body = ordered_json::object();
  if (!options.service.empty()) body["service"] = options.service;
  return tell(common, Client(common.socket, common.server).post("/v1/unfreeze", body));
}

}  // namespace fettle::cli
