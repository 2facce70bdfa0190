// Texts: made of values, and as a terminal may have them.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

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

}  // namespace sys
