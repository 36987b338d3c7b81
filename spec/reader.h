// Reader: takes the keys of one map, typed, and reports what is wrong, missing, unknown or not
// supported yet. A reader that goes out of scope has reported every key nobody took.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/kind.h"
#include "core/model.h"
#include "spec/document.h"

namespace fettle::spec {

/// What a file is checked for: the language alone, or what this version can apply.
enum class Strictness : std::uint8_t { Syntax, Apply };

/// Where diagnostics of one file go.
struct Report {
  std::string file;
  Strictness strictness = Strictness::Apply;
  std::vector<Diagnostic>& diagnostics;

  bool full() const { return diagnostics.size() >= kDiagnosticsMax; }
  void add(Place at, std::string path, std::string message, std::string expected = "",
           std::string did_you_mean = "");
  /// A key or word of a later version: an error under Apply, nothing under Syntax.
  void later(Place at, std::string path);
};

class Reader {
 public:
  /// `value` should be a map; anything else is reported and reads as empty.
  Reader(Report& report, const Value& value, std::string path);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  const Value* take(const std::string& key);
  bool has(const std::string& key) const;
  /// The same as take, and missing is reported.
  const Value* need(const std::string& key, const std::string& expected);

  std::optional<std::string> text(const std::string& key);
  std::string text_or(const std::string& key, std::string otherwise);
  std::string need_text(const std::string& key, const std::string& expected);
  std::uint32_t number_or(const std::string& key, std::uint32_t otherwise, std::uint32_t min,
                          std::uint32_t max);
  bool flag_or(const std::string& key, bool otherwise);
  core::Duration duration_or(const std::string& key, core::Duration otherwise, core::Duration min,
                             core::Duration max);
  /// A list of texts, or one text.
  std::vector<std::string> texts(const std::string& key);
  /// The same, each one checked; of those that do not fit `expected` says what would.
  std::vector<std::string> texts_that(const std::string& key, bool (*fits)(std::string_view),
                                      const std::string& expected);
  /// One of the words; a word of `later_words` is not supported yet.
  std::string word_or(const std::string& key, std::string otherwise,
                      const std::vector<std::string>& words,
                      const std::vector<std::string>& later_words = {});
  core::RetryPolicy retry_or(const std::string& key, core::RetryPolicy otherwise);
  /// Calls `item` for each member of the list.
  void each(const std::string& key,
            const std::function<void(const Value& item, const std::string& path)>& item);
  /// Keys that exist in the language and come later.
  void later(const std::vector<std::string>& keys);
  /// Takes the options of a kind, checked, defaults filled in.
  core::Options options(const core::KindSpec& kind);
  /// Accepts every key that is left (a kind that this version does not know yet).
  void take_rest() { whole_ = true; }

  std::string path_of(const std::string& key) const;
  void wrong(const Value& value, const std::string& key, const std::string& message,
             const std::string& expected = "", const std::string& did_you_mean = "");
  const Value& value() const { return value_; }
  Report& report() { return report_; }

 private:
  std::optional<core::Option> option(const core::OptionSpec& spec, const Value& value);
  std::optional<core::Option> command(const core::OptionSpec& spec, const Value& value);

  Report& report_;
  const Value& value_;
  std::string path_;
  std::vector<std::string> known_;
  std::set<std::string> taken_;
  bool whole_ = false;
};

/// `250ms`, `1s`, `5m`, `2h`, `30d`.
std::optional<core::Duration> parse_duration(std::string_view text);
/// `host:port`, `[::1]:80`.
std::optional<core::Address> parse_address(std::string_view text);
/// An http:// or https:// address with a host, and a port from 1 to 65535 if one stands there.
bool is_url(std::string_view text);
/// An absolute path that fits a unix socket's address, or host:port.
bool is_socket(std::string_view text);
/// A server's or backend's name at a director: letters, digits, `.`, `_`, `-`, `:`; anything else
/// could end its command line and begin another one.
bool is_server_name(std::string_view text);
/// A name of ours: letters, digits, `.`, `_`, `-`; at most 63.
bool is_name(std::string_view text);

}  // namespace fettle::spec
