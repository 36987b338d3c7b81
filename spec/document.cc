#include "spec/document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <map>
#include <sstream>

#include "spec/text.h"

namespace fettle::spec {
namespace {

Place place_of(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

/// Builds the tree from the parser's events, so that an alias is seen before it is expanded.
class Builder final : public YAML::EventHandler {
 public:
  struct Refused {
    Place place;
    std::string why;
  };

  Value take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    Value value;
    value.place = place_of(mark);
    put(std::move(value));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Refused{place_of(mark), "aliases (*name) are not supported"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& text) override {
    refuse_tag(mark, tag);
    Value value;
    value.kind = Value::Kind::Scalar;
    value.place = place_of(mark);
    value.text = text;
    value.quoted = tag == "!";
    put(std::move(value));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open(mark, Value::Kind::List);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open(mark, Value::Kind::Map);
  }
  void OnMapEnd() override { close(); }

 private:
  /// `?` and `!` are the parser's own marks of plain and quoted values.
  static void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    throw Refused{place_of(mark), "tags (!name) are not supported"};
  }

  struct Frame {
    Value value;
    std::map<std::string, int> keys;  // those that stand there already, and their lines
    std::string key;
    Place key_place;
    bool has_key = false;
  };

  void open(const YAML::Mark& mark, Value::Kind kind) {
    if (frames_.size() >= kDepthMax) {
      throw Refused{place_of(mark), "nested deeper than " + std::to_string(kDepthMax) + " levels"};
    }
    if (!frames_.empty() && frames_.back().value.kind == Value::Kind::Map &&
        !frames_.back().has_key) {
      throw Refused{place_of(mark), "a key must be a text"};
    }
    Frame frame;
    frame.value.kind = kind;
    frame.value.place = place_of(mark);
    frames_.push_back(std::move(frame));
  }
  void close() {
    Value value = std::move(frames_.back().value);
    frames_.pop_back();
    put(std::move(value));
  }
  void put(Value value) {
    if (++count_ > kValuesMax) {
      throw Refused{value.place, "more than " + std::to_string(kValuesMax) + " values"};
    }
    if (frames_.empty()) {
      root_ = std::move(value);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.value.kind == Value::Kind::List) {
      frame.value.list.push_back(std::move(value));
      return;
    }
    if (!frame.has_key) {
      if (value.kind != Value::Kind::Scalar) throw Refused{value.place, "a key must be a text"};
      const auto [first, fresh] = frame.keys.emplace(value.text, value.place.line);
      if (!fresh) {
        throw Refused{value.place, "the key '" + shown(value.text) +
                                       "' stands twice; first at line " +
                                       std::to_string(first->second)};
      }
      frame.key = std::move(value.text);
      frame.key_place = value.place;
      frame.has_key = true;
      return;
    }
    // The parser says of a missing value where the next token stands.
    if (value.kind == Value::Kind::Null) value.place = frame.key_place;
    frame.value.map.push_back({std::move(frame.key), frame.key_place, std::move(value)});
    frame.has_key = false;
  }

  std::vector<Frame> frames_;
  Value root_;
  std::size_t count_ = 0;
};

}  // namespace

std::string Value::describe() const {
  switch (kind) {
    case Kind::Null:
      return "nothing";
    case Kind::Scalar:
      return "'" + shown(text) + "'";
    case Kind::List:
      return "a list";
    case Kind::Map:
      return "a map";
  }
  return "something";
}

Diagnostic too_large(const std::string& file) {
  return {file, 1, 1, "", "the file is larger than 1 MiB", "", ""};
}

Value read_document(const std::string& file, std::string_view text,
                    std::vector<Diagnostic>& diagnostics) {
  if (text.size() > kFileBytesMax) {
    diagnostics.push_back(too_large(file));
    return {};
  }
  if (const auto bad = bad_text(text)) {
    diagnostics.push_back(
        {file, bad->place.line, bad->place.column, "", bad->what, "plain text", ""});
    return {};
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder;
    if (!parser.HandleNextDocument(builder)) {
      diagnostics.push_back({file, 1, 1, "", "the file is empty", "a map", ""});
      return {};
    }
    Builder rest;
    if (parser.HandleNextDocument(rest)) {
      const Place at = rest.take().place;
      diagnostics.push_back(
          {file, at.line, at.column, "", "a second document in one file", "one", ""});
    }
    return builder.take();
  } catch (const Builder::Refused& refused) {
    diagnostics.push_back(
        {file, refused.place.line, refused.place.column, "", refused.why, "", ""});
  } catch (const YAML::Exception& error) {
    const Place at = error.mark.is_null() ? Place{} : place_of(error.mark);
    diagnostics.push_back({file, at.line, at.column, "", "not YAML: " + error.msg, "", ""});
  }
  return {};
}

}  // namespace fettle::spec
