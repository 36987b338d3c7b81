// What may stand in a file, and how a piece of one is shown.
#include "spec/text.h"

#include <gtest/gtest.h>

namespace fettle::spec {
namespace {

std::string bad(std::string_view text) {
  const auto found = bad_text(text);
  if (!found) return "";
  return std::to_string(found->place.line) + ":" + std::to_string(found->place.column) + " " +
         found->what;
}

TEST(Text, EveryScriptIsText) {
  EXPECT_EQ(bad("plain\r\n\tdéjà 東京 🐢 \u00a0\n"), "");
  EXPECT_EQ(bad("\xef\xbb\xbfversion: 1\n"), "") << "a byte order mark";
}

TEST(Text, ControlCharactersAreNone) {
  EXPECT_EQ(bad(std::string_view("a\n\nb\0c", 6)), "3:2 the control character 0x00");
  EXPECT_EQ(bad("a\x04"), "1:2 the control character 0x04");
  EXPECT_EQ(bad("\x1b[31m"), "1:1 the control character 0x1b");
  EXPECT_EQ(bad("\x7f"), "1:1 the control character 0x7f");
}

TEST(Text, ColumnsCountCharacters) {
  EXPECT_EQ(bad("日本\xff"), "1:3 the byte 0xff: the file is not UTF-8");
}

TEST(Text, WhatOnlyLooksLikeUtf8IsNone) {
  for (const char* wrong :
       {"\x80", "\xc3", "\xc3(", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\xaf",
        "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xe6\x97"}) {
    EXPECT_NE(bad(wrong).find("not UTF-8"), std::string::npos) << wrong;
  }
}

TEST(Text, Utf16IsNone) {
  EXPECT_EQ(bad(std::string_view("\xff\xfev\0e\0", 6)), "1:1 the byte 0xff: the file is not UTF-8");
}

TEST(Text, APieceIsShownOnOneLineAndCutBetweenCharacters) {
  EXPECT_EQ(shown("a\r\nb"), "a\\x0d\\x0ab");
  std::string many;
  for (int i = 0; i < 100; ++i) many += "é";
  const std::string cut = shown(many);
  EXPECT_EQ(bad(cut), "");
  EXPECT_TRUE(cut.ends_with("é…"));
  EXPECT_LE(cut.size(), kShownBytesMax + 3);
}

}  // namespace
}  // namespace fettle::spec
