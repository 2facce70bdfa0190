// The limits of the program that starts a container hold for the container,
// too. The steps from 07 on link callers_limits.cpp, because it is too long to
// stand in each of their main.cpp.

#pragma once

#include <vector>

#include "common/cgroup.hpp"

namespace sys {

/// Lowers the limits of `groups` to those of the cgroups that were passed over
/// for them, where these are lower: no container may have more than the program
/// that starts it. Throws Error.
void keep_callers_limits(const std::vector<Cgroup>& groups);

}  // namespace sys
