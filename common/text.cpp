#include "common/text.hpp"

#include <algorithm>
#include <iterator>

namespace sys {

namespace {

// Whether a byte goes on with a character that began before it.
bool is_inner(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80;
}

// How many bytes the character at the beginning has in UTF-8, and its number; 0
// if there is none: see utf-8(7).
struct Character {
  std::size_t size = 0;
  char32_t number = 0;
};

Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  if (byte(0) < 0x80) return {1, byte(0)};
  std::size_t size = 0;
  char32_t least = 0;  // In fewer bytes, it would have been shorter.
  if ((byte(0) & 0xe0U) == 0xc0) {
    size = 2;
    least = 0x80;
  } else if ((byte(0) & 0xf0U) == 0xe0) {
    size = 3;
    least = 0x800;
  } else if ((byte(0) & 0xf8U) == 0xf0) {
    size = 4;
    least = 0x10000;
  }
  if (size == 0 || text.size() < size) return {};
  char32_t number = byte(0) & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if (!is_inner(text[i])) return {};
    number = number << 6U | (byte(i) & 0x3fU);
  }
  const bool is_half = number >= 0xd800 && number < 0xe000;  // Of UTF-16.
  if (number < least || number > 0x10ffff || is_half) return {};
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
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') ||
           std::string_view{"/._-@:"}.find(c) != std::string_view::npos;
  };
  if (std::all_of(word.begin(), word.end(), is_plain)) return word;
  std::string text{"'"};
  for (const char c : word)
    text += c == '\'' ? std::string{"'\\''"} : std::string{c};
  return text + "'";
}

}  // namespace sys
