// What config.json can ask for, one file for each concern. Each function does
// what a layer of step 08 does, with the values of the bundle where 08 has
// constants. Six functions are those of steps/08-all/layers.hpp and bpf.hpp.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/fd.hpp"
#include "steps/08-all/bpf.hpp"
#include "steps/08-all/layers.hpp"

// ---- bundle.cpp ------------------------------------------------------------

using Json = nlohmann::json;

/// What `json` holds at a path such as "/linux/seccomp", or null.
const Json& at(const Json& json, const std::string& path);

/// Throws an error about config.json.
template <typename... Args>
[[noreturn]] void refuse_config(fmt::format_string<Args...> text,
                                const Args&... args) {
  throw std::runtime_error{"config.json: " + sys::format(text, args...)};
}

/// The same, but it must be there. The library would cut the user 2^32 to user
/// 0, so we compare what it has made.
template <typename T>
T need(const Json& json, const std::string& path) {
  const Json& found = at(json, path);
  try {
    if (auto value = found.get<T>(); found == Json(value)) return value;
  } catch (const Json::exception&) {
  }
  refuse_config("{} is {}", path, found.dump());
}

/// The same, but `otherwise` if it is not there.
template <typename T>
T get(const Json& json, const std::string& path, T otherwise) {
  return at(json, path).is_null() ? otherwise : need<T>(json, path);
}

/// A list of texts, such as /process/env.
inline std::vector<std::string> texts(const Json& json,
                                      const std::string& path) {
  return get<std::vector<std::string>>(json, path, {});
}

/// Reads a file with the part of config.json at this place, "/process" say, or
/// with all of it. Throws if it asks for what we do not do.
Json read_config(const std::string& file, const std::string& place);

/// open(2) with O_CLOEXEC, checked.
sys::Fd open_file(const std::string& path, int flags, mode_t mode = 0);

// ---- caller.cpp ------------------------------------------------------------

/// `oci --root /run/x kill --all ID 9` has two options and three plain words.
struct Words {
  /// Throws if an option is not known.
  Words(int argc, char** argv);
  [[nodiscard]] bool has(const std::string& name) const {
    return options.contains(name);
  }
  [[nodiscard]] std::string value(const std::string& name,
                                  const std::string& otherwise = {}) const {
    return has(name) ? options.at(name) : otherwise;
  }
  /// Opens the file that an option names, for writing; none without the option.
  [[nodiscard]] sys::Fd open(const std::string& name, int flags) const;

  std::map<std::string, std::string> options;
  std::vector<std::string> plain;  ///< The command, the id, and what follows.
};

/// The socket at which the caller waits for the container's terminal, or none.
sys::Fd connect_console(const Json& process, const Words& words);
/// Child: starts a session, with a new terminal or with the caller's streams.
void leave_session(const Json& process, const sys::Fd& console, bool is_first);
/// Goes on as a copy of our program that no process of the container can change
/// or trace.
void run_from_a_copy(char** argv);

// ---- container.cpp ---------------------------------------------------------

/// The version of the specification that keys.txt is about.
inline constexpr const char* kSpecification = "1.3.0";

/// A container of `create`.
class Container {
 public:
  /// The id can be any text of a caller. It becomes the name of a directory.
  Container(const std::string& root, const std::string& id);
  /// Makes the directory. Throws if there is one.
  void make(Json config, const std::string& bundle);
  /// Remembers the first process, or 0 when there are only cgroups.
  void save(pid_t pid);
  /// Reads what an earlier command has saved.
  void load();
  /// Remembers these limits in the place of those with the same names.
  void change(const Json& resources);
  /// Stops its processes, or lets them go on.
  void freeze(bool is_frozen) const;
  /// Kills its processes, and forgets it.
  void remove() const;

  [[nodiscard]] bool exists() const;
  /// Where the container waits for the byte that `start` writes.
  [[nodiscard]] std::string start_fifo() const { return directory_ + "/start"; }
  /// "creating", "created", "running", "paused" or "stopped".
  [[nodiscard]] std::string status() const;
  /// Throws if the status is none of those in a text: "created or running".
  void must_be(const std::string& wanted) const;
  /// What `state` prints, and hooks read.
  [[nodiscard]] Json state() const;
  [[nodiscard]] pid_t pid() const { return get<pid_t>(saved_, "/pid", 0); }
  [[nodiscard]] const Json& config() const { return at(saved_, "/config"); }
  /// None until they are made.
  [[nodiscard]] std::vector<std::string> cgroups() const;
  /// A descriptor for the first process; none if it has ended.
  [[nodiscard]] sys::Fd open_process() const;

 private:
  std::string id_, directory_;
  Json saved_;
};

// ---- namespaces.cpp --------------------------------------------------------

/// The CLONE_NEW* of the new namespaces, or of all namespaces.
int namespaces(const Json& config, bool only_new);
/// Whether there is a new namespace of this type, "pid" say.
bool makes_namespace(const Json& config, const std::string& type);

/// Goes to the namespaces that config.json names by a path, and comes back at
/// the end of the scope. A child that is made meanwhile stays there.
class Visit {
 public:
  explicit Visit(const Json& config);
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  ~Visit();

 private:
  std::vector<std::pair<sys::Fd, int>> back_;
};

/// Parent: writes the maps of ids of the child's user namespace, if it has one.
void map_ids(const Json& config, pid_t child);
/// Child: becomes id 0 there.
void become_root(const Json& config);
/// Child: what is set in each of the new namespaces, and only there.
void set_up_namespaces(const Json& config);
/// Child: enters the root filesystem, which is a mount from then on.
void enter_root(const Json& config, const std::string& bundle);
/// Child: makes it the root of all mounts.
void pivot_root();

// ---- mounts.cpp ------------------------------------------------------------

/// A mount that is in no mount table yet, and its place.
struct Mount {
  std::string target;
  sys::Fd tree;
  bool is_bind = false;
  bool is_copied_up = false;  ///< The files at its place would be in it.
};

/// Before pivot_root: makes the mounts that config.json lists.
std::vector<Mount> make_mounts(const Json& config, const std::string& bundle);
/// After pivot_root: puts one in its place.
void place(const Mount& mount);
/// Opens a place in the container, and makes what is missing on the way.
sys::Fd open_place(const std::string& path, bool is_directory);
/// After pivot_root: the root becomes read-only, or shared, if that is asked.
void finish_root(const Json& config);

// ---- devices.cpp -----------------------------------------------------------

/// The devices of every container, as they would stand in linux.devices and in
/// linux.resources.devices.
const Json& default_devices();
/// After pivot_root: makes the nodes and the links in /dev.
void make_devices(const Json& config, const std::vector<Mount>& mounts);
/// Parent: says which devices a cgroup may use.
void limit_devices(const Json& config, const std::vector<std::string>& groups);

// ---- cgroups.cpp -----------------------------------------------------------

/// The directories at linux.cgroupsPath, one in each hierarchy, v2 the last.
std::vector<std::string> name_cgroups(const Json& config);
/// The file of one of them that has this name on v1, or that on v2.
std::string find_file(const std::vector<std::string>& groups,
                      const std::string& v1, const std::string& v2);
/// Makes them. Throws if one is used by others.
void make_cgroups(const std::vector<std::string>& groups);
/// Writes the limits of linux.resources.
void limit_resources(const Json& resources,
                     const std::vector<std::string>& groups);
/// The files by which a process joins them.
std::vector<sys::Fd> open_cgroups(const std::vector<std::string>& groups);
/// The processes in these cgroups, and in those below.
std::vector<pid_t> members(const std::vector<std::string>& groups);
/// Kills these processes, and removes the cgroups.
void remove_cgroups(const std::vector<std::string>& groups);

// ---- process.cpp, filter.cpp -----------------------------------------------

/// Enters the directory of `process`, sets its limits, and finds its program.
/// Reads all else, so that `create` tells what is not supported. The function
/// that this returns becomes the user, and executes the program.
std::function<void()> prepare(const Json& process, const Json& config);

/// A filter for the profile in linux.seccomp.
Program make_filter(const Json& profile);
/// Runs programs of the caller, with the state as their standard input. One
/// that fails is an error before the start, and later a note.
void run_hooks(const Container& container, const std::string& kind);
