// The command that could not be run: which file it is, and why.

#pragma once

#include <string>
#include <string_view>

namespace sys {

/// The file that exec found for `command` along `path`, or "".
std::string find_along(std::string_view path, const std::string& command);

/// Why execve(2) failed with `errnum` on `file`, which find_along found for
/// `command` along `path`; "" if that cannot be told.
std::string hint_for_exec(int errnum, const std::string& command,
                          const std::string& file, const std::string& path);

}  // namespace sys
