// What config.json can ask for, one file for each concern. Each function does
// what a layer of step 08 does, with the values of the bundle where 08 has
// constants. Five functions are those of 08: leave_keys(), hide_paths(),
// bound_capabilities(), keep_capabilities() and install_filter().

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/cgroup.hpp"
#include "steps/08-all/bpf.hpp"
#include "steps/08-all/layers.hpp"
#include "steps/oci/bundle.hpp"

// ---- namespaces.cpp --------------------------------------------------------

/// The CLONE_NEW* of the new namespaces, for clone3(2). The cgroup namespace
/// comes later, because its root is the cgroup in which it is made.
std::uint64_t new_namespaces(const Json& config);
/// The CLONE_NEW* of all namespaces of the container, for setns(2).
int all_namespaces(const Json& config);

/// Goes to the namespaces that config.json names by a path, and comes back at
/// the end of the scope. A child that is made meanwhile is born there. The
/// containers of a pod share their network in this way.
class Visit {
 public:
  explicit Visit(const Json& config);
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  ~Visit();

 private:
  std::vector<std::pair<sys::Fd, int>> back_;
};

/// Parent: writes the maps of ids of a child in a user namespace.
void map_ids(const Json& config, pid_t child);
/// Child: becomes id 0 of its user namespace, if it has one.
void become_root(const Json& config);
/// Child: makes the cgroup namespace, sets the host name, brings lo up and
/// writes the settings in /proc/sys, each of which must have a namespace.
void set_up_namespaces(const Json& config);
/// Child: enters the root filesystem, and makes it the root of all mounts.
void enter_root(const Json& config, const std::string& bundle);
void pivot_root();

// ---- mounts.cpp ------------------------------------------------------------

/// A mount that is in no mount table yet, and its place.
struct Mount {
  std::string target;
  sys::Fd tree;
  bool is_bind = false;
  bool is_copied_up = false;  ///< Only where there is nothing to copy.
};

/// Before pivot_root: makes the mounts that config.json lists.
std::vector<Mount> make_mounts(const Json& config, const std::string& bundle,
                               const std::vector<sys::Cgroup>& groups);
/// After pivot_root: puts mounts in place. No link of the image leads out.
void place_mounts(const std::vector<Mount>& mounts);
/// A copy of one mount, or with AT_RECURSIVE of all below, for place_mounts.
sys::Fd copy_tree(const std::string& source, unsigned recursive = 0);
/// Opens a place in the container, and makes what is missing on the way.
sys::Fd open_place(const std::string& path, bool is_directory);
/// Makes the root read-only, or shared, if config.json says so.
void finish_root(const Json& config);

// ---- devices.cpp -----------------------------------------------------------

/// The names of the devices that every container has: null, zero and so on.
std::vector<std::string> default_devices();
/// After pivot_root: makes the nodes and the links in /dev.
void make_devices(const Json& config, const std::vector<Mount>& mounts);
/// Parent: says which devices a cgroup may use.
void limit_devices(const Json& config, const std::vector<sys::Cgroup>& groups);

// ---- cgroups.cpp, limits.cpp -----------------------------------------------

/// The cgroups at linux.cgroupsPath, one in each hierarchy.
std::vector<sys::Cgroup> name_cgroups(const Json& config,
                                      const std::string& id);
/// Makes them, and those above them. Throws if one is used by others.
void make_cgroups(const std::vector<sys::Cgroup>& groups);
/// Writes the limits of linux.resources.
void limit_resources(const Json& resources,
                     const std::vector<sys::Cgroup>& groups);
/// The processes in these cgroups, and in those below.
std::vector<pid_t> members(const std::vector<sys::Cgroup>& groups);
/// Kills these processes, and removes the cgroups.
void remove_all(const std::vector<sys::Cgroup>& groups);
/// Stops these processes, or lets them go on.
void freeze(const std::vector<sys::Cgroup>& groups, bool is_frozen);
bool is_frozen(const std::vector<sys::Cgroup>& groups);

// ---- process.cpp, filter.cpp, console.cpp, hooks.cpp -----------------------

/// What is left to do when `start` has come. It was read before, so that all
/// that config.json asks for in vain is told by `create`.
struct Command {
  std::string program;
  std::vector<std::string> words, variables;
  uid_t user = 0;
  gid_t group = 0;
  mode_t umask = 0;
  std::uint64_t bounding = 0;
  Capabilities kept;
  std::vector<gid_t> groups;
  std::uint64_t ambient = 0;
  bool no_new_privileges = false;
  Program filter;
};
/// Enters the directory of `process` in config.json, sets its limits, and finds
/// its program.
Command prepare(const Json& process, const Json& config);
/// Becomes the user with these rights, and executes the program.
[[noreturn]] void execute(const Command& command);
/// execve(2). Throws, because it returns only if it fails.
[[noreturn]] void exec_with(const std::string& program,
                            std::vector<std::string> words,
                            std::vector<std::string> variables);

/// A filter for the profile in linux.seccomp.
Program make_filter(const Json& profile);

/// Connects to the socket at which the caller waits for the terminal.
sys::Fd connect_console(const std::string& path);
/// Makes a terminal in the container, sends its outer end through the socket,
/// and makes its inner end the standard streams.
void take_terminal(const Json& process, const sys::Fd& socket, bool is_first);

/// Runs programs of the caller, with the container's state on their standard
/// input. If `must_succeed`, one that fails is an error, and else a note.
void run_hooks(const Json& config, const std::string& kind, const Json& state,
               bool must_succeed);
