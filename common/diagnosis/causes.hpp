// Causes: why this host refuses what a program asked of it, and what mends it.
//
// The programs' errors end with them, and scripts/doctor collects them: there
// is one place that knows. What the errno leaves open is looked up, not
// guessed; where nothing is found, nothing is said.

#pragma once

#include <optional>
#include <string>

#include "common/diagnosis/host.hpp"
#include "common/error.hpp"

namespace sys {

/// Whom a cause stops: every user of this host, users who are not root, or
/// users who are not root on any host, because that is how the step is.
enum class Stops { kEverybody, kUsers, kUsersAnywhere };

/// The word for it that scripts/doctor reads: "everybody", for example.
const char* name_of(Stops stops) noexcept;

/// Why a call failed, and the one command that mends it: with sudo, where that
/// is needed and there. The hint of an error is "why: mend", so `why` has no
/// colon.
struct Cause {
  std::string why;
  std::string mend;
  Stops stops = Stops::kEverybody;
  bool operator==(const Cause&) const = default;
};

/// Why `attempt` failed on such a host, if that can be told.
std::optional<Cause> explain(const Attempt& attempt, const Host& host);

/// Has later hints tell of the host as this process sees it now: before it
/// enters a container, where /proc and the maps are others.
void keep_host();

/// The same on this very host.
std::optional<Cause> cause_of(const Attempt& attempt);

/// The hint for an error on this very host, or "".
std::string hint_for(const Attempt& attempt);

/// The hint that the error has, or else the one for this very host, or "".
std::string hint_of(const Error& error);

}  // namespace sys
