#include "common/cgroup.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <optional>

#include "common/error.hpp"
#include "common/file.hpp"
#include "common/mount.hpp"
#include "common/process.hpp"

namespace sys {

namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return parts;
}

bool holds(std::string_view list, char separator, std::string_view wanted) {
  const auto items = split(list, separator);
  return std::find(items.begin(), items.end(), wanted) != items.end();
}

// Where one hierarchy is mounted, and our own cgroup in it.
struct Hierarchy {
  std::string mount_point;
  std::string own;  // "" for its root, else "/a/b"
};

// One line of /proc/self/mountinfo: see proc_pid_mountinfo(5).
struct Mount {
  std::string point;
  std::string_view root, type, options;
};

std::optional<Mount> parse_mount(std::string_view line) {
  const auto dash = line.find(" - ");
  if (dash == line.npos) return {};
  const auto before = split(line.substr(0, dash), ' ');
  const auto after = split(line.substr(dash + 3), ' ');
  if (before.size() < 6 || after.size() < 3) return {};
  return Mount{mountinfo_path(before[4]), before[3], after[0], after[2]};
}

// Our path in the hierarchy that `controllers` names, "" being v2. A line is
// "4:memory:/path", or "0::/path".
std::optional<std::string_view> own_path(std::string_view cgroup,
                                         std::string_view controller) {
  for (const auto line : split(cgroup, '\n')) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const auto names = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? names.empty() : holds(names, ',', controller))
      return line.substr(second + 1);
  }
  return {};
}

// Whether a mount shows cgroups above the root of our cgroup namespace. That is
// so in a container that has the host's mount. Then our place in the tree is
// unknown.
bool is_from_above(const Mount& mount) {
  return mount.root.starts_with("/..");
}

// Takes the last that fits: a later mount hides an earlier one. `controller`
// is "" for v2.
std::optional<Hierarchy> find_hierarchy(std::string_view cgroup,
                                        std::string_view mountinfo,
                                        std::string_view controller) {
  const auto path = own_path(cgroup, controller);
  if (!path) return {};
  std::optional<Hierarchy> found;
  for (const auto line : split(mountinfo, '\n')) {
    const auto mount = parse_mount(line);
    if (!mount) continue;
    if (found && (found->mount_point + "/").starts_with(mount->point + "/"))
      found.reset();
    if (mount->type != (controller.empty() ? "cgroup2" : "cgroup") ||
        is_from_above(*mount))
      continue;
    if (!controller.empty() && !holds(mount->options, ',', controller))
      continue;
    // In a container, a mount may show only a part of the hierarchy.
    const auto root = mount->root == "/" ? std::string_view{} : mount->root;
    auto own = path->starts_with(root) ? path->substr(root.size()) : "";
    if (!own.starts_with('/') || own == "/" || own.find("/..") != own.npos)
      own = "";
    found = Hierarchy{mount->point, std::string{own}};
  }
  return found;
}

// 0, or why we cannot make cgroups there and put processes into them.
int why_not_to_fill(const std::string& directory) {
  const auto procs = directory + "/cgroup.procs";
  if (::faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) == 0 &&
      ::faccessat(AT_FDCWD, procs.c_str(), W_OK, AT_EACCESS) == 0)
    return 0;
  return errno == EROFS ? EROFS : EACCES;
}

// Those of `controllers` that a file does not list.
std::vector<std::string> missing_in(
    const std::string& file, const std::vector<std::string>& controllers) {
  const auto listed = read_file_if_there(file);
  std::vector<std::string> missing;
  for (const auto& name : controllers)
    if (!holds(listed, ' ', name)) missing.push_back(name);
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

// Which of two refusals can be mended best: one by processes, by their user.
bool tells_more(int errnum, int than) {
  const auto rank = [](int number) {
    return number == 0            ? 0
           : number == ENOENT     ? 1
           : number == EOPNOTSUPP ? 3
           : number == EBUSY      ? 4
                                  : 2;
  };
  return rank(errnum) > rank(than);
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
  for (std::string own = hierarchy.own;; own.erase(own.rfind('/'))) {
    parent.directory = hierarchy.mount_point + own;
    const int errnum = why_not_below(parent.directory, parent);
    if (errnum == 0) return parent;
    if (tells_more(errnum, refusal)) {
      refusal = errnum;
      refused = parent.directory;
    }
    if (own.empty()) no_place(refusal, controllers, refused);
    parent.passed_over.push_back(parent.directory);
    want_controllers_of_limits(parent, parent.directory);
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
    const std::vector<std::string>& controllers, const std::string& if_there) {
  return find_cgroup_parents(controllers, read_file("/proc/self/cgroup"),
                             read_file("/proc/self/mountinfo"), if_there);
}

namespace {

// Controllers of v1 that are mounted together have one tree of groups.
void add_v1(std::vector<Cgroup>& parents, const std::string& directory,
            const std::string& controller) {
  for (auto& parent : parents)
    if (parent.directory == directory) {
      parent.controllers.push_back(controller);
      return;
    }
  const auto behind =
      std::find_if(parents.begin(), parents.end(),
                   [](const auto& parent) { return parent.version == 2; });
  parents.insert(behind, {1, directory, {controller}, {}, {}});  // v2 is last.
}

void add_if_there(std::vector<Cgroup>& parents, const std::string& controller,
                  std::string_view cgroup, std::string_view mountinfo) {
  const auto v1 = find_hierarchy(cgroup, mountinfo, controller);
  if (v1) {
    const auto directory = v1->mount_point + v1->own;
    if (why_not_to_fill(directory) == 0) add_v1(parents, directory, controller);
    return;
  }
  for (auto& parent : parents)
    if (parent.version == 2 &&
        missing_in(parent.directory + "/cgroup.subtree_control", {controller})
            .empty())
      parent.controllers.push_back(controller);
}

}  // namespace

std::vector<Cgroup> find_cgroup_parents(
    const std::vector<std::string>& controllers, std::string_view cgroup,
    std::string_view mountinfo, const std::string& if_there) {
  std::vector<Cgroup> parents;
  std::vector<std::string> on_v2;
  for (const auto& name : controllers) {
    const auto v1 = find_hierarchy(cgroup, mountinfo, name);
    if (!v1) {
      on_v2.push_back(name);
      continue;
    }
    const auto directory = v1->mount_point + v1->own;
    if (const int errnum = why_not_to_fill(directory))
      no_place(errnum, {name}, directory);
    add_v1(parents, directory, name);
  }
  if (!on_v2.empty()) {
    const auto v2 = find_hierarchy(cgroup, mountinfo, {});
    if (!v2) no_place(ENOENT, on_v2);
    parents.push_back(find_v2_parent(*v2, on_v2));
  }
  if (!if_there.empty()) add_if_there(parents, if_there, cgroup, mountinfo);
  return parents;
}

std::vector<std::string> cgroup_directories(std::string_view cgroup,
                                            std::string_view mountinfo) {
  std::vector<std::string> directories;
  for (const auto line : split(cgroup, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() < 3) continue;
    const auto controller = split(fields[1], ',');
    const auto found = find_hierarchy(
        cgroup, mountinfo, controller.empty() ? "" : controller.front());
    if (found) directories.push_back(found->mount_point + found->own);
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
  using std::chrono::steady_clock;
  const auto give_up = steady_clock::now() + std::chrono::seconds{2};
  while (::rmdir(directory.c_str()) == -1) {
    if (errno == ENOENT) return;
    if (errno != EBUSY || steady_clock::now() > give_up)
      throw Error{errno, "rmdir(2) " + directory};
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

// Does all of it, and reports what fails.
template <typename Undo>
void undo_each(const std::vector<Cgroup>& groups, const Undo& undo) {
  for (const auto& group : groups) {
    try {
      undo(group);
    } catch (const Error& error) {
      tell(error);
    }
  }
}

}  // namespace

void remove_cgroups(const std::vector<Cgroup>& groups,
                    const std::vector<Cgroup>& parents) {
  undo_each(groups,
            [](const Cgroup& group) { remove_cgroup(group.directory); });
  if (std::uncaught_exceptions() == 0) return;
  undo_each(parents, [](const Cgroup& parent) {
    if (!parent.missing.empty() && !has_a_container(parent.directory))
      write_file(parent.directory + "/cgroup.subtree_control",
                 sys::format("-{}", fmt::join(parent.missing, " -")));
  });
}

}  // namespace sys
