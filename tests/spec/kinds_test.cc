// `spec` makes its schema from the same kinds.inc files that the kinds' own registries are made of;
// both tables must say the same, or `apply` accepts what nobody can do.
#include <gtest/gtest.h>

#include "actions/action.h"
#include "alerts/receiver.h"
#include "directors/director.h"
#include "probes/registry.h"
#include "spec/parse.h"

namespace fettle {
namespace {

std::string shown(const core::KindSpec& kind) {
  std::string text = kind.name + "|" + kind.doc + "|" + std::string(to_string(kind.fault_class)) +
                     "|" + std::string(to_string(kind.affects)) + "|";
  for (const bool flag : {kind.idempotent, kind.reversible, kind.destructive, kind.interruptible,
                          kind.on_director, kind.on_member, kind.by_engine}) {
    text += flag ? "1" : "0";
  }
  text += kind.allow;
  for (const core::OptionSpec& option : kind.options) {
    text += "\n  " + option.name + "|" + std::to_string(static_cast<int>(option.type)) + "|" +
            (option.required ? "required" : "") + "|" + option.default_text + "|" +
            std::to_string(option.min) + "|" + std::to_string(option.max) + "|" + option.doc;
    for (const std::string& word : option.words) text += "|" + word;
  }
  return text + "\n";
}

std::string shown(const std::vector<core::KindSpec>& kinds) {
  std::string text;
  for (const core::KindSpec& kind : kinds) text += shown(kind);
  return text;
}

TEST(Kinds, AreTheSameForTheLanguageAndForThoseWhoDoThem) {
  EXPECT_EQ(shown(spec::probe_kinds()), shown(probes::kinds()));
  EXPECT_EQ(shown(spec::action_kinds()), shown(actions::kinds()));
  EXPECT_EQ(shown(spec::director_kinds()), shown(directors::kinds()));
  EXPECT_EQ(shown(spec::receiver_kinds()), shown(alerts::kinds()));
  EXPECT_FALSE(spec::probe_kinds().empty());
}

/// Every default that a kind declares is one that the language itself accepts.
TEST(Kinds, HaveDefaultsThatFit) {
  for (const auto* kinds : {&spec::probe_kinds(), &spec::action_kinds(), &spec::director_kinds(),
                            &spec::receiver_kinds()}) {
    for (core::KindSpec kind : *kinds) {
      for (core::OptionSpec& option : kind.options) option.required = false;
      std::vector<spec::Diagnostic> diagnostics;
      spec::Report report{"a.yaml", spec::Strictness::Apply, diagnostics};
      spec::Value empty;
      empty.kind = spec::Value::Kind::Map;
      const core::Options options = spec::Reader(report, empty, "").options(kind);
      EXPECT_TRUE(diagnostics.empty()) << kind.name << ": " << to_string(diagnostics.at(0));
      for (const core::OptionSpec& option : kind.options) {
        EXPECT_EQ(options.contains(option.name), !option.default_text.empty())
            << kind.name << "." << option.name;
      }
    }
  }
}

}  // namespace
}  // namespace fettle
