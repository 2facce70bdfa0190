#include "common/text.hpp"

#include <algorithm>
#include <bit>
#include <cctype>
#include <iterator>

namespace sys {

namespace {

// Whether a byte goes on with a character that began before it.
bool is_inner(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80;
}

struct Character {
  std::size_t size = 0;  // 0: there is none.
  char32_t number = 0;
};

// The one at the beginning, in UTF-8: see utf-8(7).
Character first_character(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  // In one byte there is no such bit, in two or more as many as bytes.
  const auto size = static_cast<std::size_t>(std::countl_one(first));
  if (size == 0) return {1, first};
  if (size < 2 || size > 4 || text.size() < size) return {};
  char32_t number = first & (0x7fU >> size);
  for (const char byte : text.substr(1, size - 1)) {
    if (!is_inner(byte)) return {};
    number = number << 6U | (static_cast<unsigned char>(byte) & 0x3fU);
  }
  // A lesser number needs fewer bytes.
  constexpr char32_t kLeast[] = {0x80, 0x800, 0x10000};
  const bool is_half = number >= 0xd800 && number < 0xe000;  // Of UTF-16.
  if (number < kLeast[size - 2] || number > 0x10ffff || is_half) return {};
  return {size, number};
}

// Characters that are not seen. They move the cursor, turn the direction of
// what follows, or hide in it. Those that hide are the ones that Unicode calls
// Default_Ignorable_Code_Point.
bool is_unseen(char32_t number) {
  struct Range {
    char32_t first, last;
  };
  static constexpr Range kRanges[] = {
      {0x00, 0x1f},         // C0, ESC among them
      {0x7f, 0x9f},         // DEL and C1, CSI among them
      {0xad, 0xad},         // The soft hyphen
      {0x34f, 0x34f},       // Joins characters
      {0x61c, 0x61c},       // A mark of direction
      {0x115f, 0x1160},     // Fillers of Hangul
      {0x17b4, 0x17b5},     // Vowels of Khmer that are not written
      {0x180b, 0x180f},     // Variants of Mongolian, and its separator
      {0x200b, 0x200f},     // Of no width; marks of direction
      {0x2028, 0x202e},     // Line ends; turns of direction
      {0x2060, 0x206f},     // Of no width; turns of direction
      {0x3164, 0x3164},     // A filler of Hangul
      {0xfe00, 0xfe0f},     // Variants of the character before
      {0xfeff, 0xfeff},     // Of no width
      {0xffa0, 0xffa0},     // A filler of Hangul, of half the width
      {0xfff0, 0xfffb},     // Kept for such characters; annotations
      {0x1bca0, 0x1bca3},   // For shorthand
      {0x1d173, 0x1d17a},   // For music
      {0xe0000, 0xe0fff}};  // Tags; more variants
  return std::any_of(std::begin(kRanges), std::end(kRanges),
                     [&](const Range& range) {
                       return number >= range.first && number <= range.last;
                     });
}

}  // namespace

std::string vformat(fmt::string_view text, fmt::format_args args) {
  return fmt::vformat(text, args);
}

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const auto [size, number] = first_character(text);
    if (size == 0)
      result += sys::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    else if (is_unseen(number))
      result += '?';
    else
      result += text.substr(0, size);
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return result;
}

std::string shorten(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string{text};
  auto begin = most / 2;
  while (begin > 0 && is_inner(text[begin])) --begin;
  auto end = text.size() - most / 2;
  while (end < text.size() && is_inner(text[end])) ++end;
  return sys::format("{}...{}", text.substr(0, begin), text.substr(end));
}

std::string shell_word(const std::string& word) {
  if (is_alphanumeric(word, "/._-@:")) return word;
  std::string text{"'"};
  for (const char c : word)
    text += c == '\'' ? std::string{"'\\''"} : std::string{c};
  return text + "'";
}

bool is_alphanumeric(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           others.find(c) != others.npos;
  });
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return parts;
}

bool has_word(std::string_view list, char separator, std::string_view word) {
  const auto words = split(list, separator);
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string flag_names(
    std::uint64_t flags,
    std::initializer_list<std::pair<std::uint64_t, const char*>> known) {
  std::string text;
  for (const auto& [flag, name] : known)
    if ((flags & flag) != 0)
      text += (text.empty() ? "" : "|") + std::string{name};
  return text;
}

}  // namespace sys
