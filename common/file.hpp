// Small files: the kernel's own, mostly, in /proc and /sys.

#pragma once

#include <string>

#include "common/fd.hpp"

namespace sys {

/// What comes out of `file` until its end. Throws Error, which names it so.
std::string read_all(const Fd& file, const std::string& name);

/// All of a file, which may be one of those in /proc that say they have no
/// size. Throws Error: see open(2), read(2).
std::string read_file(const std::string& path);

/// The same without blanks and line ends behind it, or "" if the file is not
/// there, or not for us. Throws Error.
std::string read_file_if_there(const std::string& path);

/// Writes `text` to an existing file, in one write(2): the files of /proc and
/// of cgroups take a value whole or not at all. Throws Error with `hint`.
void write_file(const std::string& path, const std::string& text,
                const std::string& hint = {});

/// The same, unless there is no such file: not every kernel has every one.
void write_file_if_there(const std::string& path, const std::string& text);

}  // namespace sys
