// Control groups: finding where one may be made, on v1, v2 and hybrid hosts.

#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "common/fd.hpp"

namespace sys {

/// A cgroup: a directory of a cgroup file system.
struct Cgroup {
  int version = 0;                       ///< 1 or 2
  std::string directory;                 ///< Without a slash at the end.
  std::vector<std::string> controllers;  ///< What can be limited there.
  /// The cgroups between our own and this one, on v2, our own the first. Their
  /// limits hold for us, and not for what is made here.
  std::vector<std::string> passed_over;
  /// Those of `controllers` that a v2 cgroup does not hand down until it is
  /// told to, by "+memory" in cgroup.subtree_control.
  std::vector<std::string> missing;
};

/// A file that limits the processes of a v2 cgroup. Its name begins with that
/// of its controller.
struct LimitFile {
  const char* name;
  bool is_list;  ///< Such as "0-3", and not a number.
};
/// All of them: see cgroups(7).
inline constexpr std::array kLimitFiles{
    LimitFile{"memory.max", false},      LimitFile{"memory.high", false},
    LimitFile{"memory.swap.max", false}, LimitFile{"pids.max", false},
    LimitFile{"cpu.max", false},         LimitFile{"cpuset.cpus", true},
    LimitFile{"cpuset.mems", true},      LimitFile{"io.max", true}};

/// What such a file of a cgroup says, or "" if it limits nothing.
std::string limit_in(const std::string& directory, const LimitFile& file);

/// Finds where mkdir(2) makes cgroups that obey `controllers`, "memory" say:
/// one place on v2, one for each hierarchy of v1. On v1 it is our own cgroup.
/// On v2 it is the nearest one, from our own upwards, that hands the
/// controllers down, or that does so when it is told to. One with processes
/// cannot. What limits the cgroups that are passed over becomes one of the
/// controllers. Nothing is changed: see Cgroup::missing.
/// Throws Error with a hint if there is none: see cgroups(7), and
/// /proc/PID/cgroup and /proc/PID/mountinfo in proc(5).
std::vector<Cgroup> find_cgroup_parents(
    const std::vector<std::string>& controllers);

/// The same, for given contents of /proc/self/cgroup and /proc/self/mountinfo.
std::vector<Cgroup> find_cgroup_parents(
    const std::vector<std::string>& controllers, std::string_view cgroup,
    std::string_view mountinfo);

/// The directories of the cgroups, made by us or not, that these contents of
/// /proc/PID/cgroup and /proc/self/mountinfo name.
std::vector<std::string> cgroup_directories(std::string_view cgroup,
                                            std::string_view mountinfo);

/// The one of `groups` that has `controller`, or nullptr.
const Cgroup* find_cgroup(const std::vector<Cgroup>& groups,
                          std::string_view controller);

/// The value behind `key` in a flat keyed file such as memory.events, or 0 if
/// the key is not there. Throws Error if the file cannot be read.
long read_keyed_value(const std::string& path, std::string_view key);

/// A descriptor for the one of `groups` that is on v2, as clone3(2) takes it
/// for CLONE_INTO_CGROUP; none if they are on v1. Throws Error.
Fd open_v2_cgroup(const std::vector<Cgroup>& groups);

/// The files cgroup.procs of the groups on v1, open for writing. A process that
/// holds one can move itself there, because the kernel checks the rights of the
/// process that opened it. Throws Error.
std::vector<Fd> open_v1_cgroups(const std::vector<Cgroup>& groups);

/// rmdir(2) of cgroups whose last process has just been reaped: the kernel
/// answers EBUSY for a moment. One that is not there is fine. What cannot be
/// removed is reported on stderr.
///
/// If an exception is on its way, because no container was started, `parents`
/// hand down no more than find_cgroup_parents found; unless another container
/// of ours lives there by now.
void remove_cgroups(const std::vector<Cgroup>& groups,
                    const std::vector<Cgroup>& parents = {});

}  // namespace sys
