#include "cli/tables.h"

#include <array>
#include <cstdio>

#include "cli/output.h"

namespace fettle::cli {
namespace {

std::string milliseconds(const ordered_json& value) {
  if (!value.is_number_float()) return value.is_null() ? "-" : value.dump() + " ms";
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f ms", value.get<double>());
  return text.data();
}

void line(const std::string& text) { std::printf("%s\n", text.c_str()); }

Table members_table(const ordered_json& members) {
  Table table({"MEMBER", "ROLE", "STATE", "ZONE", "RTT", "VERSION", "ADDRESS"});
  for (const ordered_json& one : members) {
    table.row({cell(one["name"]), cell(one["role"]), coloured(cell(one["state"])),
               cell(one["zone"]), milliseconds(one["rtt_ms"]), cell(one["version"]),
               cell(one["address"])});
  }
  return table;
}

}  // namespace

void print_status(const ordered_json& status) {
  const ordered_json& cluster = status["cluster"];
  line(bold(cell(cluster["name"])) + ": leader " + cell(cluster["leader"]) + ", term " +
       cell(cluster["term"]) + ", spec revision " + cell(status["revision"]) + ", " +
       cell(status["open_incidents"]) + " open incident" +
       (status["open_incidents"] == 1 ? "" : "s"));
  for (const ordered_json& freeze : status["freezes"]) {
    const std::string what =
        freeze["service"] == "" ? "everything" : "service " + cell(freeze["service"]);
    line("FROZEN: " + what + " until " + time_cell(freeze["until"]) + " by " + cell(freeze["by"]) +
         ": " + cell(freeze["reason"]));
  }
  for (const ordered_json& note : status["notes"]) line("note: " + cell(note));
  line("");
  members_table(cluster["members"]).print();
  for (const ordered_json& service : status["services"]) {
    line("");
    line("service " + bold(cell(service["name"])) + " is " + coloured(cell(service["verdict"])) +
         ": " + cell(service["healthy"]) + " of " + cell(service["total"]) + " nodes healthy");
    Table table({"NODE", "ADDRESS", "ROLE", "VERDICT", "TRAFFIC", "SINCE", "REASON"});
    for (const ordered_json& node : service["nodes"]) {
      table.row({cell(node["name"]), cell(node["address"]), cell(node["role"]),
                 coloured(cell(node["verdict"])), coloured(cell(node["admin"])),
                 time_cell(node["since"]), cell(node["reason"])});
    }
    table.print();
  }
  if (status["services"].empty()) line("no spec yet: fettle apply -f DIR");
}

void print_members(const ordered_json& answer) {
  members_table(answer["members"]).print();
  line("");
  if (answer["quorum_rtt_ms"].is_number()) {
    line("a commit waits " + milliseconds(answer["quorum_rtt_ms"]) + " for a majority, as " +
         cell(answer["leader"]) + " measures it, and for the disk");
  }
  const ordered_json& timing = answer["timing"];
  line("this member waits " + cell(timing["election_timeout_ms"]) +
       " ms for a leader that is silent (" + (timing["from"] == "file" ? "set" : "measured") + ")");
}

void print_nodes(const ordered_json& answer) {
  Table table({"NODE", "SERVICE", "ADDRESS", "VERDICT", "TRAFFIC", "SINCE", "REASON"});
  for (const ordered_json& node : answer["nodes"]) {
    table.row({cell(node["name"]), cell(node["service"]), cell(node["address"]),
               coloured(cell(node["verdict"])), coloured(cell(node["admin"])),
               time_cell(node["since"]), cell(node["reason"])});
  }
  table.print();
}

void print_node(const ordered_json& node) {
  line(bold(cell(node["name"])) + " of " + cell(node["service"]) + " at " + cell(node["address"]) +
       " is " + coloured(cell(node["verdict"])) + " and " + coloured(cell(node["admin"])));
  line("reason:   " + cell(node["reason"]));
  line("since:    " + time_cell(node["since"]));
  line("incident: " + cell(node["incident"]));
  line("");
  Table table({"OBSERVER", "CLASS", "OPINION", "OUTCOME", "AT"});
  for (const ordered_json& opinion : node["opinions"]) {
    for (const ordered_json& one : opinion["classes"]) {
      table.row({cell(opinion["observer"]), cell(one["class"]), coloured(cell(one["opinion"])),
                 cell(one["outcome"]), time_cell(opinion["at"])});
    }
  }
  table.print();
}

void print_incidents(const ordered_json& answer) {
  Table table({"ID", "NODE", "VERDICT", "DETECTED", "MTTD", "MTTR", "STATE", "REASON"});
  for (const ordered_json& one : answer["incidents"]) {
    const bool open = one["resolved_at"].is_null();
    table.row({cell(one["id"]), cell(one["service"]) + "/" + cell(one["node"]),
               coloured(cell(one["verdict"])), time_cell(one["detected_at"]),
               milliseconds(one["mttd_ms"]), milliseconds(one["mttr_ms"]),
               open ? "open" : "resolved", cell(one["reason"])});
  }
  table.print();
}

void print_incident(const ordered_json& incident) {
  line(bold("incident " + cell(incident["id"])) + ": " + cell(incident["service"]) + "/" +
       cell(incident["node"]) + " " + coloured(cell(incident["verdict"])) + ": " +
       cell(incident["reason"]));
  line("fault " + time_cell(incident["fault_at"]) + ", detected after " +
       milliseconds(incident["mttd_ms"]) + ", isolated " + time_cell(incident["isolated_at"]) +
       ", resolved " + time_cell(incident["resolved_at"]));
  for (const ordered_json& reason : incident["blocked_by"]) line("blocked by: " + cell(reason));
  line("");
  Table votes({"OBSERVER", "OPINION", "OUTCOME", "AGE"});
  for (const ordered_json& vote : incident["votes"]) {
    votes.row({cell(vote["observer"]), coloured(cell(vote["opinion"])), cell(vote["outcome"]),
               milliseconds(vote["age_ms"])});
  }
  votes.print();
  line("");
  Table timeline({"AT", "INDEX", "WHAT", "REASON"});
  for (const ordered_json& entry : incident["timeline"]) {
    timeline.row(
        {cell(entry["at"]), cell(entry["index"]), cell(entry["what"]), cell(entry["reason"])});
  }
  timeline.print();
}

void print_runs(const ordered_json& answer) {
  Table table({"ID", "PLAYBOOK", "NODE", "INCIDENT", "MODE", "STATE", "STEP", "STARTED", "REASON"});
  for (const ordered_json& run : answer["runs"]) {
    table.row({cell(run["id"]), cell(run["playbook"]), cell(run["node"]), cell(run["incident"]),
               cell(run["mode"]), coloured(cell(run["state"])), cell(run["step"]),
               time_cell(run["started_at"]), cell(run["reason"])});
  }
  table.print();
}

void print_run(const ordered_json& run) {
  line(bold("run " + cell(run["id"])) + " of " + cell(run["playbook"]) + " on " +
       cell(run["node"]) + " (" + cell(run["mode"]) + ") " + coloured(cell(run["state"])));
  line("reason: " + cell(run["reason"]));
  line("");
  Table table({"STEP", "ACTION", "STATE", "ATTEMPT", "HOST", "RESULT"});
  for (const ordered_json& step : run["steps"]) {
    if (step["tasks"].empty()) {
      table.row({cell(step["id"]), cell(step["action"]), coloured(cell(step["state"])),
                 cell(step["attempt"]), "-", cell(step["reason"])});
    }
    for (const ordered_json& task : step["tasks"]) {
      table.row({cell(step["id"]), cell(step["action"]), coloured(cell(task["state"])),
                 cell(step["attempt"]), cell(task["host"]), cell(task["result"])});
    }
  }
  table.print();
}

void print_why(const ordered_json& why) {
  line(bold(cell(why["node"])) + " of " + cell(why["service"]) + ": " +
       coloured(cell(why["verdict"])) +
       (why["reason"] == "" ? "" : " (" + cell(why["reason"]) + ")") + ", " +
       coloured(cell(why["admin"])) + ", decided by " + cell(why["owner"]));
  for (const ordered_json& run : why["runs"]) {
    line("at it:    run " + cell(run["id"]) + " of " + cell(run["playbook"]) + ", step " +
         cell(run["step"]) + ": " + cell(run["reason"]));
  }
  if (why["would"].is_null()) {
    line(why["runs"].empty() ? "would do: nothing" : "");
  } else {
    line("would do: " + cell(why["would"]["playbook"]) + " (" + cell(why["would"]["mode"]) +
         "), first " + cell(why["would"]["first_action"]) + ": " + cell(why["would"]["reason"]));
  }
  for (const ordered_json& block : why["blocked_by"]) {
    line("blocked:  " + cell(block["reason"]) +
         (block["until"].is_null() ? "" : ", until " + cell(block["until"])));
  }
  for (const ordered_json& other : why["others"]) line("also:     " + cell(other));
  for (const ordered_json& host : why["pending_hosts"]) {
    line("pending:  the director on " + cell(host) + " is not in the wanted state");
  }
}

void print_event(const ordered_json& event) {
  std::string text = event.value("at", "") + "  " + bold(event.value("kind", ""));
  for (const char* key : {"service", "node", "incident", "run", "step", "value"}) {
    if (event.contains(key)) text += std::string(" ") + key + "=" + coloured(cell(event[key]));
  }
  if (event.contains("reason")) text += ": " + cell(event["reason"]);
  line(text);
  std::fflush(stdout);
}

}  // namespace fettle::cli
