// What step 08 adds to the seven layers, one file for each concern. main.cpp
// calls each function once. runc(8) and crun(1) do the same things. The
// container's session and terminal are in terminal.hpp.

#pragma once

#include <sys/types.h>  // pid_t

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/cgroup.hpp"
#include "common/fd.hpp"
#include "common/options.hpp"

// ---- idmap.cpp: the image's owner becomes the container's root -------------

/// Parent: a copy of the mount of the working directory, to be given a map of
/// ids. None for an ordinary user, because the map of such a user shows the
/// user's files as root's already.
sys::Fd copy_image();

/// Parent: maps the owner of the copy to user 0 of the child, whose maps must
/// be written. False if this kind of file system cannot be mapped. Then its
/// files belong to uid 65534 in the container. See mount_setattr(2),
/// MOUNT_ATTR_IDMAP.
bool map_image(const sys::Fd& image, pid_t child);

/// Child: goes to the mapped copy.
void enter_image(const sys::Fd& image);

// ---- limits.cpp ------------------------------------------------------------

/// Where to make cgroups that obey the controllers `wanted`, and those that are
/// `optional`. If the host has no place for us, one that is wanted stops the
/// program. An optional one is left out, the last one first, aloud.
std::vector<sys::Cgroup> find_cgroup_parents(
    const std::vector<std::string>& wanted, std::vector<std::string> optional);

/// Sets hugetlb.*.max to 0: the limit on memory does not count huge pages. The
/// host's root reserves them for its own programs.
void limit_huge_pages(const std::vector<sys::Cgroup>& groups);

/// Sets pids.max: no fork bomb gets out of the box.
void limit_processes(const std::vector<sys::Cgroup>& groups, std::int64_t pids);

/// Child: the same without a cgroup, by RLIMIT_NPROC, which counts for each
/// user namespace since Linux 5.14. Without `pids` it is the default, or what
/// this user may have. See setrlimit(2).
void limit_own_processes(const std::vector<sys::Cgroup>& groups,
                         std::optional<std::int64_t> pids);

/// Parent: halves its own limits on signals in queues, timers and message
/// queues. The kernel counts these for a user, in all namespaces together, and
/// keeps a user namespace to the limits of the process that makes it. So all
/// containers of a user get a half, and the other half stays on the host.
void leave_half_to_caller();

/// Child: lowers the limits that getrlimit(2) knows, for good, to what programs
/// need.
void limit_what_a_user_has();

/// Child: lowers the limits on inotify(7) in the new user namespace. The kernel
/// counts instances and watches for the user who made it as well. In the new
/// root, with /proc, as root.
void limit_watches();

/// Child: lowers the number of pseudo-terminals: each takes memory, and all
/// containers together get no more than kernel.pty.max. In the new root.
void limit_terminals();

/// Sets the CPU time of each tenth of a second, for so many thousandths of a
/// processor.
void limit_cpus(const std::vector<sys::Cgroup>& groups, std::int64_t milli);

/// Child: shows it its own cgroups, and no others, in /sys/fs/cgroup, where it
/// may look and not touch. In the new root; needs the cgroup namespace.
void mount_cgroups(const std::vector<sys::Cgroup>& groups);

// ---- hidden_paths.cpp ------------------------------------------------------

/// Covers what /proc and /sys tell about the host or let root do to it, in the
/// working directory, which is the new root.
void hide_paths();

/// The same for other paths, absolute or in the working directory. Those that
/// are not there are passed over: not every kernel has every one.
void hide_paths(const std::vector<std::string>& hidden,
                const std::vector<std::string>& read_only);

// ---- keys.cpp --------------------------------------------------------------

/// Leaves the caller's keys behind: a session keyring goes through every
/// namespace. See session-keyring(7). As the host's root, before any map: its
/// quota is the larger one.
void leave_keys();

// ---- descriptors.cpp -------------------------------------------------------

/// Closes every descriptor but 0, 1 and 2, and that for failures, which exec
/// closes: one for a directory of the host is a way out that no mount namespace
/// shuts. See close_range(2).
void leave_descriptors();

/// The same, but leaves another one open.
void leave_descriptors(int but);

// ---- exec.cpp --------------------------------------------------------------

/// Becomes this user, and no group besides this one.
void become_user(sys::Ids ids);

/// execve(2) along PATH, with a new environment, because the caller's can hold
/// secrets: a few variables, as this user has them, and those of `environment`.
/// A file that the kernel cannot run is an error, while execvp(3) would run it
/// with a shell.
[[noreturn]] void execute(char** command,
                          const std::vector<std::string>& environment,
                          sys::Ids ids);

// ---- capabilities.cpp ------------------------------------------------------

/// Keeps thirteen capabilities, Docker's without CAP_NET_RAW, and drops the
/// others, for this process and the programs that it runs: see capabilities(7).
void drop_capabilities();

/// Drops all others from the bounding set. execve(2) gives back only what is in
/// that set. Sets are bits, one for each capability.
void bound_capabilities(std::uint64_t kept);

/// The sets of a process: see capabilities(7).
struct Capabilities {
  std::uint64_t permitted = 0, effective = 0, inheritable = 0;
};
/// Gives up all capabilities of this process but these.
void keep_capabilities(const Capabilities& kept);

// ---- landlock.cpp ----------------------------------------------------------

/// Permits only programs below the root directory, and no program of the host.
/// If the kernel has no Landlock, prints a note and does nothing. Needs
/// no_new_privs or CAP_SYS_ADMIN.
void confine_programs();

// ---- seccomp.cpp -----------------------------------------------------------

/// Permits only the system calls on a list: see seccomp(2). Needs no_new_privs
/// or CAP_SYS_ADMIN.
void filter_system_calls();

// ---- confine.cpp -----------------------------------------------------------

/// Child: all that is left behind and given up once the container is built, in
/// an order in which each call still has the rights that it needs: descriptors,
/// the personality, and those of the `walls` that a process keeps. Without
/// no_new_privs, Landlock and the filter need the capabilities that go last.
void confine(const sys::Walls& walls);

// ---- init.cpp --------------------------------------------------------------

/// Returns in a new process. The calling process stays PID 1. It passes signals
/// on, reaps orphans, and ends with the command's status. Its command line,
/// `words`, is wiped, and no process of the container can look into its memory.
void leave_init_behind(char** words);
