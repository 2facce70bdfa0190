// Words on the command line that we do not know: what their user probably
// meant.

#pragma once

#include <string>
#include <string_view>

namespace sys {

/// What is said here instead of an option that users of Docker are used to, or
/// "".
std::string_view hint_for_option(std::string_view name);

/// What a user probably meant with the word `rootfs` in the place of ROOTFS,
/// which is `there` by default.
std::string hint_for_rootfs(const std::string& rootfs,
                            const std::string& there);

/// How a size is said here that is clear enough, as "64 MiB", "64MB" and "1T"
/// are: "; hint: 64M". Or "".
std::string hint_for_size(std::string_view text);

}  // namespace sys
