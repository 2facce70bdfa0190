// Texts: made of values, and as a terminal may have them.

#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace sys {

/// fmt's vformat, compiled once.
std::string vformat(fmt::string_view text, fmt::format_args args);

/// fmt::format, without compiling fmt's insides into every file that says it.
template <typename... Args>
std::string format(fmt::format_string<Args...> text, const Args&... args) {
  return sys::vformat(text, fmt::make_format_args(args...));
}

/// A text that may be anybody's, as a terminal may have it: what is not seen,
/// or moves the cursor, is a "?", and a byte that is not UTF-8 is "\\x9b". No
/// "\n".
std::string printable(std::string_view text);

/// A text without its middle, if it has more than `most` bytes: of a path of
/// 4096 letters both ends tell enough.
std::string shorten(std::string_view text, std::size_t most = 400);

/// A word as a shell reads it: in quotes if it has a blank, for example.
std::string shell_word(const std::string& word);

/// Whether a text has only ASCII letters, digits, and characters of `others`.
bool is_alphanumeric(std::string_view text, std::string_view others);

/// The parts of a text between separators. Behind the last there is no part.
std::vector<std::string_view> split(std::string_view text, char separator);

/// Whether a list has that word.
bool has_word(std::string_view list, char separator, std::string_view word);

/// The names of the flags that are set: "MS_REC|MS_PRIVATE".
std::string flag_names(
    std::uint64_t flags,
    std::initializer_list<std::pair<std::uint64_t, const char*>> known);

}  // namespace sys
