#include <cstdio>
#include <map>
#include <thread>

#include "cli/commands.h"

namespace fettle::cli {
namespace {

std::string path_of(const std::string& key) { return "/v1/kv/" + key_part(key); }

std::map<std::string, std::string> condition(const KvOptions& options) {
  if (options.if_revision.empty()) return {};
  return {{"If-Match", options.if_revision}};
}

int tell_revision(const Common& common, const Result<ordered_json>& answer) {
  if (!answer) return say(answer.error());
  if (common.format != Format::Table) {
    print_document(common.format, *answer);
  } else {
    std::printf("revision %s\n", cell(answer->at("revision")).c_str());
  }
  return 0;
}

}  // namespace

int kv_get(const Common& common, const KvOptions& options) {
  const auto answer = Client(common.socket, common.server).get(path_of(options.key));
  if (!answer) return say(answer.error());
  if (common.format != Format::Table) {
    print_document(common.format, *answer);
  } else {
    std::printf("%s\n", answer->at("value").dump().c_str());
  }
  return 0;
}

int kv_put(const Common& common, const KvOptions& options) {
  ordered_json value = ordered_json::parse(options.value, nullptr, false);
  if (value.is_discarded()) {
    return say({Code::Invalid, "the value is no JSON (a text needs its quotes: '\"like this\"')"});
  }
  Client client(common.socket, common.server);
  return tell_revision(common, client.write("PUT", path_of(options.key),
                                            {{"value", std::move(value)}}, condition(options)));
}

int kv_delete(const Common& common, const KvOptions& options) {
  Client client(common.socket, common.server);
  return tell_revision(common,
                       client.write("DELETE", path_of(options.key), nullptr, condition(options)));
}

int kv_watch(const Common& common, const KvOptions& options) {
  Client client(common.socket, common.server);
  const auto print = [&common](const std::string& data) { print_item(common.format, data); };
  std::string last = options.since;
  for (;;) {
    const std::string before = last;
    const Status ended = client.follow("/v1/kv?watch=" + url_part(options.key), last, print);
    if (!ended && before == last) return say(ended.error());
    std::this_thread::sleep_for(std::chrono::seconds(1));  // it was cut: go on where it stopped
  }
}

}  // namespace fettle::cli
