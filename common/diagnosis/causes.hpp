// Causes: why this host refuses what a program asked of it, and what mends it.
//
// The programs' errors end with them, and scripts/doctor collects them: there
// is one place that knows. What the errno leaves open is looked up, not
// guessed; where nothing is found, nothing is said.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/diagnosis/host.hpp"

namespace sys {

/// Why a call failed, and the one command that mends it: with sudo, where that
/// is needed and there. The hint of an error is "why: mend", so `why` has no
/// colon.
struct Cause {
  std::string why;
  std::string mend;
  bool operator==(const Cause&) const = default;
};

/// A call that failed. `flags` are those of the clone that made its process,
/// or 0: they tell in whose namespaces it failed.
struct Attempt {
  std::string doing;  ///< As in Error: "mount proc on /proc".
  int errnum = 0;
  std::uint64_t flags = 0;
  std::string directory;  ///< Of the cgroup that refused, or "".
};

/// Why `attempt` failed on such a host, if that can be told.
std::optional<Cause> explain(const Attempt& attempt, const Host& host);

/// Has later hints tell of the host as this process sees it now: before it
/// enters a container, where /proc and the maps are others.
void keep_host();

/// The hint for an error on this very host, or "".
std::string hint_for(const Attempt& attempt);

}  // namespace sys
