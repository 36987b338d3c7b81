// fettle: the operator's command.
#include <CLI/CLI.hpp>
#include <functional>
#include <map>

#include "cli/commands.h"
#include "cli/tables.h"

namespace {

namespace cli = fettle::cli;
using Act = std::function<int()>;

constexpr int kExitBadUsage = 2;

/// What the chosen verb will do; the options live as long as the program.
struct Chosen {
  cli::Common common;
  Act act;
  std::string id;
  bool check = false;
  cli::SpecOptions spec;
  cli::NodeOptions node;
  cli::RunOptions run;
  cli::FreezeOptions freeze;
  cli::EventOptions events;
  cli::KvOptions kv;
  cli::MemberOptions member;
  cli::SnapshotOptions snapshot;
  cli::LockOptions lock;
  cli::TlsOptions tls;
};

void add_views(CLI::App& app, Chosen& chosen) {
  auto* status = app.add_subcommand("status", "the group, its services and nodes");
  status->add_flag("--check", chosen.check, "one line and the exit codes of Nagios");
  status->callback([&] {
    chosen.act = [&] {
      if (chosen.check) return cli::check_status(chosen.common);
      return cli::show(chosen.common, "/v1/status", cli::print_status);
    };
  });
  app.add_subcommand("members", "the members of the group")->callback([&] {
    chosen.act = [&] { return cli::show(chosen.common, "/v1/members", cli::print_members); };
  });
  using Print = void (*)(const nlohmann::ordered_json&);
  const auto list = [&](const char* verb, const char* help, Print all, Print one) {
    auto* command = app.add_subcommand(verb, help);
    command->add_option("id", chosen.id, "only this one, in full");
    command->callback([&chosen, verb, all, one] {
      chosen.act = [&chosen, verb, all, one] {
        const std::string path = std::string("/v1/") + verb;
        if (chosen.id.empty()) return cli::show(chosen.common, path, all);
        return cli::show(chosen.common, path + "/" + cli::url_part(chosen.id), one);
      };
    });
  };
  list("nodes", "the nodes: verdict and traffic", cli::print_nodes, cli::print_node);
  list("incidents", "the incidents, newest first", cli::print_incidents, cli::print_incident);
  list("runs", "the playbook runs, newest first", cli::print_runs, cli::print_run);

  auto* why = app.add_subcommand("why", "what would act on a node now, what blocks it, until when");
  why->add_option("node", chosen.id, "the node")->required();
  why->callback([&] {
    chosen.act = [&] {
      return cli::show(chosen.common, "/v1/nodes/" + cli::url_part(chosen.id) + "/why",
                       cli::print_why);
    };
  });

  auto* events = app.add_subcommand("events", "what happened");
  events->add_flag("--follow", chosen.events.follow, "go on as it happens");
  events->add_option("--since", chosen.events.since, "after this event (index, or index.n)");
  events->callback([&] { chosen.act = [&] { return cli::events(chosen.common, chosen.events); }; });
}

void add_spec(CLI::App& app, Chosen& chosen) {
  const auto verb = [&](const char* name, const char* help, auto act) {
    auto* command = app.add_subcommand(name, help);
    command->add_option("-f,--file", chosen.spec.files, "a YAML file, or a folder of them")
        ->required();
    command->callback([&chosen, act] {
      chosen.act = [&chosen, act] { return act(chosen.common, chosen.spec); };
    });
    return command;
  };
  auto* apply = verb("apply", "commit the files as the new spec", cli::apply);
  auto* prune =
      apply->add_flag("--prune", chosen.spec.prune, "also delete what the files do not hold");
  apply
      ->add_option("--force", chosen.spec.force,
                   "abandon: also nodes that Fettle holds isolated; they stay so at the director")
      ->check(CLI::IsMember({"abandon"}))
      ->needs(prune);
  apply->add_flag("--dry-run", chosen.spec.dry_run, "only show the difference");
  verb("diff", "what apply would change", cli::diff);
  verb("validate", "check the files; needs no daemon", cli::validate)
      ->add_flag("--syntax", chosen.spec.syntax,
                 "the language alone, not what this version can do");
}

void add_acts(CLI::App& app, Chosen& chosen) {
  const auto on_node = [&](const char* name, const char* help, auto act) {
    auto* command = app.add_subcommand(name, help);
    command->add_option("node", chosen.node.node, "the node")->required();
    command->add_option("--reason", chosen.node.reason, "for the journal");
    command->add_flag("--no-wait", chosen.node.no_wait, "do not follow the run to its end");
    command->callback([&chosen, act] {
      chosen.act = [&chosen, act] { return act(chosen.common, chosen.node); };
    });
    return command;
  };
  on_node("isolate", "take a node out of the traffic", cli::isolate)
      ->add_flag("--force", chosen.node.force, "also beyond the service's limits");
  on_node("restore", "give a node its traffic back", cli::restore);

  const auto on_run = [&](const char* name, const char* help, auto act) {
    auto* command = app.add_subcommand(name, help);
    command->add_option("run", chosen.run.run, "the run's number")->required();
    command->add_option("--reason", chosen.run.reason, "for the journal");
    command->add_flag("--no-wait", chosen.run.no_wait, "do not follow the run to its end");
    command->callback(
        [&chosen, act] { chosen.act = [&chosen, act] { return act(chosen.common, chosen.run); }; });
  };
  on_run("cancel", "stop an open run; Fettle does not start it again by itself", cli::cancel);
  on_run("retry", "have a failed or cancelled run go on from the step it ended at", cli::retry);

  auto* freeze = app.add_subcommand("freeze", "Fettle watches but does not act, for a while");
  freeze->add_option("--for", chosen.freeze.length, "how long, at most 30d")->capture_default_str();
  freeze->add_option("--reason", chosen.freeze.reason, "shown everywhere");
  freeze->add_option("--service", chosen.freeze.service, "only this one");
  freeze->callback([&] { chosen.act = [&] { return cli::freeze(chosen.common, chosen.freeze); }; });
  auto* unfreeze = app.add_subcommand("unfreeze", "act again");
  unfreeze->add_option("--service", chosen.freeze.service, "only this one");
  unfreeze->callback(
      [&] { chosen.act = [&] { return cli::unfreeze(chosen.common, chosen.freeze); }; });
}

void add_members(CLI::App& app, Chosen& chosen) {
  auto* member = app.add_subcommand("member", "who the group is, and who leads it");
  member->require_subcommand(1);
  const auto verb = [&](const char* name, const char* help, auto act) {
    auto* command = member->add_subcommand(name, help);
    command->callback([&chosen, act] {
      chosen.act = [&chosen, act] { return act(chosen.common, chosen.member); };
    });
    return command;
  };
  auto* add =
      verb("add", "add a member; it becomes a voter once it has caught up", cli::member_add);
  add->add_option("name", chosen.member.name, "its node_name")->required();
  add->add_option("--address", chosen.member.address, "its listen.cluster, as the others reach it")
      ->required();
  add->add_option("--role", chosen.member.role, "voter, or learner: it holds the log, no vote")
      ->capture_default_str();
  add->add_flag("--no-wait", chosen.member.no_wait, "do not wait until it is a voter");
  verb("remove", "remove a member", cli::member_remove)
      ->add_option("name", chosen.member.name, "the member")
      ->required();
  verb("promote", "make a learner a voter now", cli::member_promote)
      ->add_option("name", chosen.member.name, "the member")
      ->required();
  verb("transfer", "hand the leadership over", cli::member_transfer)
      ->add_option("name", chosen.member.name, "to this member; default: the one furthest");
}

void add_snapshots(CLI::App& app, Chosen& chosen) {
  auto* snapshot = app.add_subcommand("snapshot", "the group's whole state as a file");
  snapshot->require_subcommand(1);
  const auto verb = [&](const char* name, const char* help, auto act) {
    auto* command = snapshot->add_subcommand(name, help);
    command->add_option("file", chosen.snapshot.file, "the file")->required();
    command->callback([&chosen, act] {
      chosen.act = [&chosen, act] { return act(chosen.common, chosen.snapshot); };
    });
  };
  verb("save", "write the state as of now", cli::snapshot_save);
  verb("inspect", "what a file holds; needs no daemon", cli::snapshot_inspect);
  verb("restore", "check a file, and say how a group begins anew from it", cli::snapshot_restore);
}

void add_kv(CLI::App& app, Chosen& chosen) {
  auto* kv = app.add_subcommand("kv", "the group's key-value store");
  kv->require_subcommand(1);
  const auto verb = [&](const char* name, const char* help, auto act) {
    auto* command = kv->add_subcommand(name, help);
    command->callback(
        [&chosen, act] { chosen.act = [&chosen, act] { return act(chosen.common, chosen.kv); }; });
    return command;
  };
  const auto on_key = [&](CLI::App* command) {
    command->add_option("key", chosen.kv.key, "the key")->required();
    return command;
  };
  const auto conditional = [&](CLI::App* command) {
    command->add_option("--if-revision", chosen.kv.if_revision,
                        "only if the key is at this revision; 0: only if it does not exist");
  };
  on_key(verb("get", "a key's value", cli::kv_get));
  auto* put = on_key(verb("put", "set a key", cli::kv_put));
  put->add_option("value", chosen.kv.value, "any JSON")->required();
  conditional(put);
  conditional(on_key(verb("delete", "delete a key", cli::kv_delete)));
  auto* watch =
      verb("watch", "each change of the keys with a prefix, as it happens", cli::kv_watch);
  watch->add_option("prefix", chosen.kv.key, "the prefix; none: every key");
  watch->add_option("--since", chosen.kv.since, "after this revision; default: from now on");
}

void add_lock(CLI::App& app, Chosen& chosen) {
  auto* lock = app.get_subcommand("kv")->add_subcommand(
      "lock", "run a command while nobody else holds the name: lock NAME -- COMMAND...");
  lock->add_option("name", chosen.lock.name, "the lease's name")->required();
  const auto seconds = [&](const char* name, const char* help, fettle::core::Duration& into) {
    lock->add_option_function<std::uint32_t>(
        name, [&into](std::uint32_t count) { into = std::chrono::seconds(count); }, help);
  };
  seconds("--ttl", "seconds that the lease lasts without a renewal; default 10", chosen.lock.ttl);
  seconds("--wait", "seconds to wait for it; default 60", chosen.lock.wait);
  lock->add_option("command", chosen.lock.command, "the command and its arguments")->required();
  lock->callback([&] { chosen.act = [&] { return cli::kv_lock(chosen.common, chosen.lock); }; });
}

void add_init(CLI::App& app, Chosen& chosen) {
  auto* init = app.add_subcommand("init", "make what a new group needs");
  init->require_subcommand(1);
  auto* tls = init->add_subcommand("tls", "a CA and a certificate for each member");
  tls->add_option("--cluster", chosen.tls.cluster, "the group's name")->required();
  tls->add_option("--member", chosen.tls.members, "its members, with commas between")
      ->required()
      ->delimiter(',');
  tls->add_option("--out", chosen.tls.out, "the folder to write to")->required();
  tls->callback([&] { chosen.act = [&] { return cli::init_tls(chosen.common, chosen.tls); }; });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("fettle: ask and steer the watchdog of AI service nodes");
  Chosen chosen;
  const std::map<std::string, cli::Format> formats{
      {"table", cli::Format::Table}, {"json", cli::Format::Json}, {"yaml", cli::Format::Yaml}};
  app.add_option("--socket", chosen.common.socket, "the daemon's local socket")
      ->capture_default_str();
  app.add_option("--server", chosen.common.server,
                 "http://host:port instead of the socket; it only reads");
  app.add_option("--output", chosen.common.format, "table, json or yaml")
      ->transform(CLI::Transformer(formats))
      ->option_text("table|json|yaml");
  app.set_version_flag("--version", std::string("fettle " FETTLE_VERSION));
  app.require_subcommand(1);
  app.fallthrough();
  add_views(app, chosen);
  add_spec(app, chosen);
  add_acts(app, chosen);
  add_members(app, chosen);
  add_snapshots(app, chosen);
  add_kv(app, chosen);
  add_lock(app, chosen);
  add_init(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitBadUsage;
  }
  return chosen.act();
}
