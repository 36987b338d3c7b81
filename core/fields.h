// Field references in a text: `${node.name}`. One grammar for everyone: `spec` validates the
// references with uses(), the engine fills them in with substitute(). Pure; knows no field itself.
//
// Grammar: `${` dotted identifiers `}`; an identifier is [A-Za-z_][A-Za-z0-9_]*, no blanks inside.
// `$$` stands for one `$`. A `$` before anything else stands for itself. `${` that is not closed or
// holds anything but dotted identifiers is malformed: uses() shows it, substitute() refuses it.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fettle::core {

/// One reference as it stands in a text.
struct FieldUse {
  std::string name;        // `node.name`: what stands between the braces, also if malformed
  std::size_t offset = 0;  // of its `$`, in bytes
  std::size_t size = 0;    // of the whole reference with braces; to the text's end if not closed
  std::string problem;     // empty: well formed; else what is wrong, as a sentence
};

/// Every reference in `text`, in order, malformed ones included.
std::vector<FieldUse> uses(std::string_view text);

/// `text` with every reference replaced by its value in `bound` and every `$$` by `$`. Values are
/// taken as they are, never looked into again. Code::Invalid names a malformed reference,
/// Code::NotFound the first field that `bound` lacks.
Result<std::string> substitute(std::string_view text,
                               const std::map<std::string, std::string>& bound);

}  // namespace fettle::core
