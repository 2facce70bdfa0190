#include "common/cgroup.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <optional>

#include "common/error.hpp"
#include "common/file.hpp"
#include "common/mount.hpp"
#include "common/text.hpp"

namespace sys {

namespace {

// One hierarchy: where it is mounted, and the directory of our own cgroup.
struct Hierarchy {
  std::string top, own;
};

// Our path in the hierarchy of a controller, "" being v2. A line is
// "4:memory:/path", or "0::/path".
std::optional<std::string> own_path(std::string_view cgroup,
                                    std::string_view controller) {
  for (const auto line : split(cgroup, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() < 3) continue;
    if (fields[1] == controller || has_word(fields[1], ',', controller))
      return std::string{line.substr(fields[0].size() + fields[1].size() + 2)};
  }
  return {};
}

// Takes the last that fits: a later mount hides an earlier one. `controller`
// is "" for v2.
std::optional<Hierarchy> find_hierarchy(std::string_view cgroup,
                                        const std::vector<MountLine>& mounts,
                                        std::string_view controller) {
  const auto path = own_path(cgroup, controller);
  if (!path) return {};
  std::optional<Hierarchy> found;
  for (const auto& mount : mounts) {
    if (found && (found->top + "/").starts_with(mount.point + "/"))
      found.reset();
    const bool fits = controller.empty()
                          ? mount.type == "cgroup2"
                          : mount.type == "cgroup" &&
                                has_word(mount.super_options, ',', controller);
    // A mount of the host, in a container, shows what is above the root of our
    // cgroup namespace. Then our place in the tree is unknown.
    if (!fits || mount.root.starts_with("/..")) continue;
    // In a container, a mount may show only a part of the hierarchy.
    const auto root = mount.root == "/" ? "" : mount.root;
    auto below = path->starts_with(root) ? path->substr(root.size()) : "";
    if (!below.starts_with('/') || below == "/" ||
        below.find("/..") != below.npos)
      below = "";
    found = Hierarchy{mount.point, mount.point + below};
  }
  return found;
}

// 0, or why we cannot make cgroups there and put processes into them.
int why_not_to_fill(const std::string& directory) {
  const auto procs = directory + "/cgroup.procs";
  if (::faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) == 0 &&
      ::faccessat(AT_FDCWD, procs.c_str(), W_OK, AT_EACCESS) == 0)
    return 0;
  if (errno != EROFS && errno != EACCES && errno != ENOENT)
    check(-1, "faccessat(2) {}", procs);
  return errno == EROFS ? EROFS : EACCES;
}

// Those of `controllers` that a file does not list.
std::vector<std::string> missing_in(
    const std::string& file, const std::vector<std::string>& controllers) {
  const auto listed = read_file_if_there(file);
  std::vector<std::string> missing;
  for (const auto& name : controllers)
    if (!has_word(listed, ' ', name)) missing.push_back(name);
  return missing;
}

// Whether a v2 cgroup can hand the controllers of `parent` down: 0, or why it
// cannot. One with processes must not even be asked: the kernel refuses to hand
// memory down there, but accepts pids or cpu, and from then on the cgroup is
// "domain threaded" and accepts no container.
int why_not_below(const std::string& directory, Cgroup& parent) {
  const auto control = directory + "/cgroup.subtree_control";
  const auto missing = missing_in(control, parent.controllers);
  if (!missing_in(directory + "/cgroup.controllers", missing).empty())
    return ENOENT;
  if (const int errnum = why_not_to_fill(directory)) return errnum;
  const auto type = read_file_if_there(directory + "/cgroup.type");
  if (!type.empty() && type != "domain") return EOPNOTSUPP;
  if (missing.empty()) return 0;
  // Only the root of all has no type, and only the root may have both processes
  // and children with controllers.
  if (!type.empty() && !read_file_if_there(directory + "/cgroup.procs").empty())
    return EBUSY;
  if (::faccessat(AT_FDCWD, control.c_str(), W_OK, AT_EACCESS) == -1)
    return errno;
  parent.missing = missing;
  return 0;
}

// ---- The way up ------------------------------------------------------------

[[noreturn]] void no_place(int errnum,
                           const std::vector<std::string>& controllers,
                           const std::string& directory = {}) {
  Attempt attempt{sys::format("cgroups(7): no cgroup for a limit on {}",
                              fmt::join(controllers, ", ")),
                  errnum};
  attempt.directory = directory;
  attempt.controllers = controllers;
  throw Error{std::move(attempt)};
}

// How well a refusal can be mended: one by processes best, by their user.
int rank(int errnum) {
  return errnum == 0            ? 0
         : errnum == ENOENT     ? 1
         : errnum == EOPNOTSUPP ? 3
         : errnum == EBUSY      ? 4
                                : 2;
}

// For the limits of a cgroup that is passed over, the cgroup above has to hand
// down their controllers, too.
void want_controllers_of_limits(Cgroup& parent, const std::string& passed) {
  for (const auto& file : kLimitFiles) {
    if (limit_in(passed, file).empty()) continue;
    const std::string_view name{file.name};
    const std::string controller{name.substr(0, name.find('.'))};
    auto& wanted = parent.controllers;
    if (std::find(wanted.begin(), wanted.end(), controller) == wanted.end())
      wanted.push_back(controller);
  }
}

// From our own cgroup up to the root. A process is in one v2 cgroup only, so it
// has to be one place for all the controllers.
Cgroup find_v2_parent(const Hierarchy& hierarchy,
                      const std::vector<std::string>& controllers) {
  Cgroup parent{2, {}, controllers, {}, {}};
  int refusal = 0;
  std::string refused;
  parent.directory = hierarchy.own;
  for (;;) {
    const int errnum = why_not_below(parent.directory, parent);
    if (errnum == 0) return parent;
    if (rank(errnum) > rank(refusal)) {
      refusal = errnum;
      refused = parent.directory;
    }
    if (parent.directory == hierarchy.top)
      no_place(refusal, controllers, refused);
    want_controllers_of_limits(parent, parent.directory);
    parent.passed_over.push_back(parent.directory);
    parent.directory.erase(parent.directory.rfind('/'));
  }
}

}  // namespace

std::string limit_in(const std::string& directory, const LimitFile& file) {
  auto text = read_file_if_there(directory + "/" + file.name);
  const bool is_limit =
      text.find_first_not_of(" \n") != text.npos && !text.starts_with("max");
  return is_limit ? text : std::string{};
}

std::vector<Cgroup> find_cgroup_parents(
    const std::vector<std::string>& controllers) {
  return find_cgroup_parents(controllers, read_file("/proc/self/cgroup"),
                             read_file("/proc/self/mountinfo"));
}

std::vector<Cgroup> find_cgroup_parents(
    const std::vector<std::string>& controllers, std::string_view cgroup,
    std::string_view mountinfo) {
  const auto mounts = parse_mountinfo(mountinfo);
  std::vector<Cgroup> parents;
  std::vector<std::string> on_v2;
  for (const auto& name : controllers) {
    const auto v1 = find_hierarchy(cgroup, mounts, name);
    if (!v1) {
      on_v2.push_back(name);
      continue;
    }
    if (const int errnum = why_not_to_fill(v1->own))
      no_place(errnum, {name}, v1->own);
    // Controllers of v1 that are mounted together have one tree of groups.
    const auto same = std::find_if(
        parents.begin(), parents.end(),
        [&](const auto& parent) { return parent.directory == v1->own; });
    if (same != parents.end())
      same->controllers.push_back(name);
    else
      parents.push_back({1, v1->own, {name}, {}, {}});
  }
  if (!on_v2.empty()) {
    const auto v2 = find_hierarchy(cgroup, mounts, {});
    if (!v2) no_place(ENOENT, on_v2);
    parents.push_back(find_v2_parent(*v2, on_v2));
  }
  return parents;
}

std::vector<std::string> cgroup_directories(std::string_view cgroup,
                                            std::string_view mountinfo) {
  const auto mounts = parse_mountinfo(mountinfo);
  std::vector<std::string> directories;
  for (const auto line : split(cgroup, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() < 3) continue;
    const auto controller = fields[1].substr(0, fields[1].find(','));
    if (const auto found = find_hierarchy(cgroup, mounts, controller))
      directories.push_back(found->own);
  }
  return directories;
}

const Cgroup* find_cgroup(const std::vector<Cgroup>& groups,
                          std::string_view controller) {
  for (const auto& group : groups)
    for (const auto& name : group.controllers)
      if (name == controller) return &group;
  return nullptr;
}

long read_keyed_value(const std::string& path, std::string_view key) {
  const auto text = read_file(path);
  for (const auto line : split(text, '\n')) {
    const auto words = split(line, ' ');
    if (words.size() == 2 && words[0] == key)
      return std::strtol(std::string{words[1]}.c_str(), nullptr, 10);
  }
  return 0;
}

Fd open_v2_cgroup(const std::vector<Cgroup>& groups) {
  for (const auto& group : groups)
    if (group.version == 2)
      return Fd{check(
          ::open(group.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC),
          "open(2) {}", group.directory)};
  return Fd{};
}

std::vector<Fd> open_v1_cgroups(const std::vector<Cgroup>& groups) {
  std::vector<Fd> files;
  for (const auto& group : groups) {
    if (group.version != 1) continue;
    const auto path = group.directory + "/cgroup.procs";
    files.emplace_back(
        check(::open(path.c_str(), O_WRONLY | O_CLOEXEC), "open(2) {}", path));
  }
  return files;
}

namespace {

void remove_cgroup(const std::string& directory) {
  int milliseconds = 2000;
  for (; ::rmdir(directory.c_str()) == -1; --milliseconds) {
    if (errno == ENOENT) return;
    if (errno != EBUSY || milliseconds == 0) {
      tell(Error{errno, "rmdir(2) " + directory});
      return;
    }
    ::poll(nullptr, 0, 1);
  }
  narrate("rmdir(2) {}", directory);
}

bool has_a_container(const std::string& directory) {
  std::error_code unheard;
  for (const auto& entry :
       std::filesystem::directory_iterator{directory, unheard})
    if (entry.path().filename().string().starts_with("box-")) return true;
  return false;
}

}  // namespace

void remove_cgroups(const std::vector<Cgroup>& groups,
                    const std::vector<Cgroup>& parents) {
  for (const auto& group : groups) remove_cgroup(group.directory);
  if (std::uncaught_exceptions() == 0) return;
  for (const auto& parent : parents) {
    if (parent.missing.empty() || has_a_container(parent.directory)) continue;
    try {
      write_file(parent.directory + "/cgroup.subtree_control",
                 sys::format("-{}", fmt::join(parent.missing, " -")));
    } catch (const Error& error) {
      tell(error);
    }
  }
}

}  // namespace sys
