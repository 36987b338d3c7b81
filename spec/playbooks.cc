#include <algorithm>
#include <set>

#include "core/fields.h"
#include "spec/sections.h"
#include "spec/text.h"

namespace fettle::spec {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

const std::vector<std::string> kLaterActions{"service.promote", "unit.restart",     "unit.start",
                                             "unit.stop",       "http.request",     "traffic.drain",
                                             "traffic.weight",  "evidence.collect", "gpu.reset",
                                             "host.reboot",     "rollout.promote",  "wait.for"};
const std::vector<std::string> kLaterReceivers{"slack",     "feishu",       "dingtalk", "wecom",
                                               "pagerduty", "alertmanager", "email"};
const std::vector<std::string> kFields{
    "node.name",       "node.service",     "node.address",  "node.host",   "node.zone",
    "node.role",       "node.verdict",     "node.admin",    "node.reason", "service.name",
    "service.verdict", "service.healthy",  "service.total", "incident.id", "incident.reason",
    "incident.class",  "incident.verdict", "run.id",        "run.playbook"};
constexpr std::size_t kStepsMax = 100;

void check_text(Reader& reader, const std::string& name, const Value& text) {
  for (const core::FieldUse& use : core::uses(text.text)) {
    if (!use.problem.empty()) {
      const bool long_one = use.name.size() > kShownBytesMax;
      reader.wrong(text, name,
                   long_one ? "'" + shown(use.name) + "' is not a field reference" : use.problem,
                   "${a.b}");
    } else if (std::ranges::find(kFields, use.name) == kFields.end()) {
      reader.wrong(text, name, "there is no field '" + shown(use.name) + "'",
                   "a field such as node.name or incident.reason", nearest(use.name, kFields));
    }
  }
}

/// `${a.b}` in every text of the input that the kind took.
void check_fields(Reader& reader, const Value& input, const core::Options& options) {
  for (const Value::Entry& entry : input.map) {
    if (!options.contains(entry.key)) continue;
    check_text(reader, entry.key, entry.value);
    for (const Value& item : entry.value.list) check_text(reader, entry.key, item);
  }
}

/// Where the step acts, if its kind runs on a member: `on`, else the host of each node that the
/// playbook may take, which is known once all files are read.
void parse_place(Section& section, core::StepSpec& step, Reader& reader,
                 const core::KindSpec& kind) {
  if (!kind.on_member) return reader.later({"on"});
  step.on = reader.text_or("on", "");
  if (const Value* on = reader.take("on"); on != nullptr) {
    if (!step.on.empty() && !is_name(step.on)) {
      reader.wrong(*on, "on", "'" + step.on + "' is no name", "the name of a member");
    }
    return;
  }
  const Value* action = reader.take("action");
  section.references.hosts.push_back({section.report.file, action->place, reader.path_of("action"),
                                      section.spec.playbooks.size()});
}

core::OnFailure on_failure_of(const std::string& word) {
  if (word == "continue") return core::OnFailure::Continue;
  if (word == "abort") return core::OnFailure::Abort;
  return core::OnFailure::Escalate;
}

void parse_step(Section& section, core::PlaybookSpec& playbook, std::set<std::string>& taken,
                const Value& item, const std::string& path) {
  Reader reader(section.report, item, path);
  core::StepSpec step;
  step.id = reader.need_text("id", "a name that is unique in the playbook");
  if (!step.id.empty()) {
    const Value& id = *reader.take("id");
    if (!is_name(step.id))
      reader.wrong(id, "id", "'" + shown(step.id) + "' is no name",
                   "letters, digits, '.', '_' and '-'");
    if (!taken.insert(step.id).second)
      reader.wrong(id, "id", "a second step '" + shown(step.id) + "'");
  }
  reader.later({"if", "compensate", "parallel"});
  step.timeout = reader.duration_or("timeout", seconds(30), milliseconds(10), hours(24));
  step.retry = reader.retry_or("retry", {});
  step.on_failure = on_failure_of(reader.word_or(
      "on_failure", "escalate", {"continue", "escalate", "abort"}, {"rollback", "pause"}));
  if (reader.has("parallel") && !reader.has("action")) return;
  const core::KindSpec* kind = take_kind(reader, action_kinds(), kLaterActions, "action");
  if (kind == nullptr) return reader.take_rest();
  step.action = kind->name;
  parse_place(section, step, reader, *kind);
  const Value* input = reader.take("input");
  Value none;
  none.kind = Value::Kind::Map;
  none.place = item.place;
  Reader options(section.report, input == nullptr ? none : *input, path + ".input");
  step.input = options.options(*kind);
  if (input != nullptr) check_fields(options, *input, step.input);
  const std::string receiver = core::text_option(step.input, "receiver");
  if (const Value* named = options.take("receiver"); named != nullptr && !receiver.empty()) {
    section.references.receivers.push_back(
        {section.report.file, named->place, path + ".input.receiver", receiver});
  }
  playbook.steps.push_back(std::move(step));
}

void parse_trigger(Section& section, core::PlaybookSpec& playbook, const Value& value,
                   const std::string& path) {
  Reader reader(section.report, value, path);
  const std::string verdict =
      reader.word_or("verdict", "down", {"down", "degraded", "healthy"}, {"manual"});
  playbook.trigger.verdict = verdict == "down"       ? core::Verdict::Down
                             : verdict == "degraded" ? core::Verdict::Degraded
                                                     : core::Verdict::Healthy;
  playbook.trigger.services = reader.texts("services");
  for (std::size_t i = 0; i < playbook.trigger.services.size(); ++i) {
    const Value& services = *reader.take("services");
    const bool list = services.kind == Value::Kind::List;
    section.references.services.push_back(
        {section.report.file, list ? services.list[i].place : services.place,
         path + ".services" + (list ? "[" + std::to_string(i) + "]" : ""),
         playbook.trigger.services[i]});
  }
  reader.later({"class", "reason", "for"});
}

}  // namespace

void parse_playbook(Section& section, const Value& item, const std::string& path) {
  Reader reader(section.report, item, path);
  core::PlaybookSpec playbook;
  playbook.name = take_name(section, reader, section.names.playbooks);
  const std::string mode = reader.word_or("mode", "observe", {"observe", "enforce"}, {"approve"});
  playbook.mode = mode == "enforce" ? core::Mode::Enforce : core::Mode::Observe;
  playbook.priority = static_cast<std::int32_t>(reader.number_or("priority", 0, 0, 1'000'000));
  if (const Value* trigger = reader.need("trigger", "trigger: {verdict: down}");
      trigger != nullptr) {
    parse_trigger(section, playbook, *trigger, path + ".trigger");
  }
  need_some(reader, "steps", "the steps, in order");
  std::set<std::string> step_ids;
  reader.each("steps", [&](const Value& step, const std::string& at) {
    parse_step(section, playbook, step_ids, step, at);
  });
  if (playbook.steps.size() > kStepsMax) {
    section.report.add(item.place, path + ".steps",
                       "more than " + std::to_string(kStepsMax) + " steps");
  }
  reader.later({"conditions", "throttle", "concurrency", "limits", "verify", "on_failure"});
  playbook.file = section.report.file;
  playbook.position = static_cast<std::uint32_t>(section.spec.playbooks.size());
  section.spec.playbooks.push_back(std::move(playbook));
}

void parse_receiver(Section& section, const Value& item, const std::string& path) {
  Reader reader(section.report, item, path);
  core::ReceiverSpec receiver;
  receiver.name = take_name(section, reader, section.names.receivers);
  receiver.retry = reader.retry_or("retry", core::ReceiverSpec{}.retry);
  const core::KindSpec* kind = take_kind(reader, receiver_kinds(), kLaterReceivers, "kind");
  if (kind == nullptr) return reader.take_rest();
  receiver.kind = kind->name;
  receiver.options = reader.options(*kind);
  const bool url = reader.has("url");
  if (kind->name == "webhook" && url == reader.has("url_secret")) {
    section.report.add(item.place, path,
                       url ? "both url and url_secret stand here" : "'url' is missing",
                       "one of url, url_secret");
  }
  section.spec.receivers.push_back(std::move(receiver));
}

void parse_route(Section& section, const Value& value) {
  Reader reader(section.report, value, "route");
  section.spec.route_receiver = reader.need_text("receiver", "the name of a receiver");
  if (!section.spec.route_receiver.empty()) {
    section.references.receivers.push_back({section.report.file, reader.take("receiver")->place,
                                            "route.receiver", section.spec.route_receiver});
  }
  reader.later({"group_by", "group_wait", "repeat_interval", "inhibit"});
}

}  // namespace fettle::spec
