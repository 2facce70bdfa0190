// What --bind shows: directories and files of the host, in the container. The
// steps from 05 on link binds.cpp, because it is too long to stand in each of
// their main.cpp.

#pragma once

#include <vector>

#include "common/fd.hpp"
#include "common/mount.hpp"

namespace sys {

/// Copies the sources of binds, nosuid, nodev, and read-only where asked.
std::vector<Fd> copy_binds(const std::vector<Bind>& binds);

/// Puts the copies in place, and makes the last part of a target if there is
/// none. Call it with the container as `/`: then no link leads out of it.
void place_binds(const std::vector<Bind>& binds, const std::vector<Fd>& copies);

}  // namespace sys
