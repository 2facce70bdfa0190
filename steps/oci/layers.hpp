// What config.json can ask for, one file for each concern. Each function does
// what a layer of step 08 does, with the values of the bundle where 08 has
// constants. Some are functions of 08: leave_keys(), hide_paths(),
// bound_capabilities(), keep_capabilities(), and the assembler for filters.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/cgroup.hpp"
#include "steps/08-all/bpf.hpp"
#include "steps/oci/bundle.hpp"

/// The version of the specification that keys.txt is about.
inline constexpr const char* kSpecification = "1.3.0";

// ---- namespaces.cpp --------------------------------------------------------

/// The CLONE_NEW* of the namespaces that are new, for clone3(2). The cgroup
/// namespace is not among them, because its root is the cgroup of the process
/// that makes it, and the child joins its cgroup later.
std::uint64_t new_namespaces(const Json& config);

/// The CLONE_NEW* of all namespaces that config.json lists, for setns(2).
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

/// Child: makes the cgroup namespace, sets the names of the host, brings lo up
/// and writes the settings in /proc/sys, of which each must have a namespace.
void set_up_namespaces(const Json& config);

/// Child: makes the root filesystem the root of all mounts, as 08 does.
void enter_root(const Json& config, const std::string& bundle);
void pivot_root();

// ---- mounts.cpp ------------------------------------------------------------

/// A mount that is in no mount table yet, and its place.
struct Mount {
  std::string target;
  sys::Fd tree;
  bool only_on_nothing =
      false;  ///< Option tmpcopyup: there is nothing to copy.
};

/// Before pivot_root: makes all mounts that config.json lists.
std::vector<Mount> make_mounts(const Json& config, const std::string& bundle,
                               const std::vector<sys::Cgroup>& groups);

/// After pivot_root: puts mounts in place. No link of the image leads out.
void place_mounts(const std::vector<Mount>& mounts);

/// A detached copy of one mount, or with `recursive` AT_RECURSIVE of all below.
sys::Fd copy_tree(const std::string& source, unsigned recursive = 0);

/// Opens a place in the container, and makes what is missing on the way there.
sys::Fd open_place(const std::string& path, bool is_directory);

/// The flag of mount(2) for "rslave" and its like; 0 if it is no such word.
unsigned long propagation_flag(const std::string& word);

/// After all else: makes the root read-only, or shared, if config.json says so.
void finish_root(const Json& config);

// ---- devices.cpp -----------------------------------------------------------

/// The names of the devices that every container has: null, zero and so on.
std::vector<std::string> default_devices();

/// Child, after pivot_root: makes the nodes in /dev and its links.
void make_devices(const Json& config);

/// Parent: says which devices a cgroup may use.
void limit_devices(const Json& config, const std::vector<sys::Cgroup>& groups);

// ---- limits.cpp ------------------------------------------------------------

/// The cgroups at linux.cgroupsPath, one in each hierarchy; not made yet.
std::vector<sys::Cgroup> name_cgroups(const Json& config,
                                      const std::string& id);
/// Makes them, and those above them. Throws if one is used by others.
void make_cgroups(const std::vector<sys::Cgroup>& groups);
/// Writes the limits of linux.resources.
void limit_resources(const Json& resources,
                     const std::vector<sys::Cgroup>& groups);

// ---- members.cpp -----------------------------------------------------------

/// Sends a signal to every process in these cgroups and in those below.
void signal_all(const std::vector<sys::Cgroup>& groups, int signal);
/// Kills every process in them, and removes them.
void remove_with_members(const std::vector<sys::Cgroup>& groups);
/// Stops all processes, or lets them go on.
void freeze(const std::vector<sys::Cgroup>& groups, bool is_frozen);
bool is_frozen(const std::vector<sys::Cgroup>& groups);
/// The number of a signal: "9", "KILL" and "SIGKILL" are the same.
int signal_number(const std::string& name);

// ---- process.cpp -----------------------------------------------------------

/// Becomes what `process` describes, as far as an error can still be told to
/// the caller. Returns the path of its program, which it finds along PATH.
std::string prepare(const Json& process, const Json& config);

/// Does the rest, and executes the program.
[[noreturn]] void execute(const Json& process, const Json& config,
                          const std::string& program);

/// What execve(2) takes: pointers to texts, and a null behind them.
std::vector<char*> pointers_to(std::vector<std::string>& words);

// ---- filter.cpp ------------------------------------------------------------

/// A filter for the profile in linux.seccomp.
Program make_filter(const Json& profile);

// ---- console.cpp -----------------------------------------------------------

/// Connects to the socket at which the caller waits for the terminal.
sys::Fd connect_console(const std::string& path);

/// Child: makes a terminal in the container, sends its outer end through the
/// socket, and makes the inner end the standard streams.
void take_terminal(const Json& process, const sys::Fd& socket, bool is_first);

// ---- hooks.cpp -------------------------------------------------------------

/// Runs programs of the caller, with the container's state on their standard
/// input. If `must_succeed`, one that fails is an error, and else a note.
void run_hooks(const Json& config, const std::string& kind, const Json& state,
               bool must_succeed);
