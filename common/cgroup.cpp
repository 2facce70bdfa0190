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
#include <optional>

#include "common/cause.hpp"
#include "common/error.hpp"
#include "common/file.hpp"
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

std::string_view trimmed(std::string_view text) {
  return text.substr(0, text.find_last_not_of(" \n") + 1);
}

// Where one hierarchy is mounted, and our own cgroup in it.
struct Hierarchy {
  std::string mount_point;
  std::string own;  // "" for its root, else "/a/b"
};

// One line of /proc/self/mountinfo: see proc_pid_mountinfo(5).
struct Mount {
  std::string_view root, point, type, options;
};

std::optional<Mount> parse_mount(std::string_view line) {
  const auto dash = line.find(" - ");
  if (dash == line.npos) return {};
  const auto before = split(line.substr(0, dash), ' ');
  const auto after = split(line.substr(dash + 3), ' ');
  if (before.size() < 6 || after.size() < 3) return {};
  return Mount{before[3], before[4], after[0], after[2]};
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
    if (!mount || mount->type != (controller.empty() ? "cgroup2" : "cgroup"))
      continue;
    if (!controller.empty() && !holds(mount->options, ',', controller))
      continue;
    // In a container, a mount may show only a part of the hierarchy.
    const auto root = mount->root == "/" ? std::string_view{} : mount->root;
    auto own = path->starts_with(root) ? path->substr(root.size()) : "";
    if (!own.starts_with('/') || own == "/" || own.find("/..") != own.npos)
      own = "";
    found = Hierarchy{std::string{mount->point}, std::string{own}};
  }
  return found;
}

bool may_fill(const std::string& directory) {
  return ::faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) ==
             0 &&
         ::faccessat(AT_FDCWD, (directory + "/cgroup.procs").c_str(), W_OK,
                     AT_EACCESS) == 0;
}

bool lists(const std::string& file, const std::string& controller) {
  try {
    return holds(trimmed(read_file(file)), ' ', controller);
  } catch (const Error&) {
    return false;
  }
}

// A v2 cgroup hands a controller to its children if subtree_control names it.
bool hands_down(const std::string& directory, const std::string& controller) {
  return lists(directory + "/cgroup.subtree_control", controller);
}

// It may be told to, unless it has processes of its own: they live in leaves.
bool can_be_made_to(const std::string& directory,
                    const std::string& controller) {
  if (hands_down(directory, controller)) return true;
  if (!lists(directory + "/cgroup.controllers", controller)) return false;
  try {
    write_file(directory + "/cgroup.subtree_control", "+" + controller);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// From our own cgroup up to the root. A process is in one v2 cgroup only, so it
// has to be one place for all the controllers.
std::string find_v2_parent(const Hierarchy& hierarchy,
                           const std::vector<std::string>& controllers) {
  for (auto* const fits : {&hands_down, &can_be_made_to}) {
    std::string own = hierarchy.own;
    for (;;) {
      auto directory = hierarchy.mount_point + own;
      if (may_fill(directory) &&
          std::all_of(controllers.begin(), controllers.end(),
                      [&](const auto& name) { return fits(directory, name); }))
        return directory;
      if (own.empty()) break;
      own.erase(own.rfind('/'));
    }
  }
  return {};
}

[[noreturn]] void no_place(int errnum,
                           const std::vector<std::string>& controllers) {
  const auto doing = sys::format("find a cgroup for a limit on {}",
                                 fmt::join(controllers, ", "));
  throw Error{errnum, doing, hint_for({doing, errnum})};
}

}  // namespace

std::vector<Cgroup> find_cgroup_parents(
    const std::vector<std::string>& controllers) {
  check_proc();
  return find_cgroup_parents(controllers, read_file("/proc/self/cgroup"),
                             read_file("/proc/self/mountinfo"));
}

std::vector<Cgroup> find_cgroup_parents(
    const std::vector<std::string>& controllers, std::string_view cgroup,
    std::string_view mountinfo) {
  std::vector<Cgroup> parents;
  std::vector<std::string> on_v2;
  for (const auto& name : controllers) {
    const auto v1 = find_hierarchy(cgroup, mountinfo, name);
    if (!v1) {
      on_v2.push_back(name);
      continue;
    }
    auto directory = v1->mount_point + v1->own;
    if (!may_fill(directory)) no_place(EACCES, {name});
    parents.push_back({1, std::move(directory), {name}});
  }
  if (on_v2.empty()) return parents;
  const auto v2 = find_hierarchy(cgroup, mountinfo, {});
  if (!v2) no_place(ENOENT, on_v2);
  auto directory = find_v2_parent(*v2, on_v2);
  if (directory.empty()) {
    const auto root = v2->mount_point + "/cgroup.controllers";
    no_place(lists(root, on_v2.front()) ? EACCES : ENOENT, on_v2);
  }
  parents.push_back({2, std::move(directory), std::move(on_v2)});
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

namespace {

// One that a killed run has left is removed; the kernel keeps any other.
bool is_in_use(const Cgroup& group) {
  return ::rmdir(group.directory.c_str()) == -1 && errno == EBUSY;
}

}  // namespace

std::vector<Cgroup> name_cgroups(const std::vector<std::string>& controllers) {
  const auto parents = find_cgroup_parents(controllers);
  // Somebody in another PID namespace may have our PID. No process has more.
  constexpr int kMostPids = 1 << 22;
  for (std::int64_t number = ::getpid();; number += kMostPids) {
    auto groups = parents;
    for (auto& group : groups)
      group.directory += sys::format("/box-{}", number);
    if (std::none_of(groups.begin(), groups.end(), is_in_use)) return groups;
  }
}

Fd open_v2_cgroup(const std::vector<Cgroup>& groups) {
  for (const auto& group : groups)
    if (group.version == 2)
      return Fd{check(
          ::open(group.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC),
          "open the cgroup {}", group.directory)};
  return Fd{};
}

std::vector<Fd> open_v1_cgroups(const std::vector<Cgroup>& groups) {
  std::vector<Fd> files;
  for (const auto& group : groups) {
    if (group.version != 1) continue;
    const auto path = group.directory + "/cgroup.procs";
    files.emplace_back(
        check(::open(path.c_str(), O_WRONLY | O_CLOEXEC), "open {}", path));
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
      throw Error{errno, "remove the cgroup " + directory};
    ::poll(nullptr, 0, 1);
  }
  narrate("remove the cgroup {}", directory);
}

}  // namespace

void remove_cgroups(const std::vector<Cgroup>& groups) {
  for (const auto& group : groups) {
    try {
      remove_cgroup(group.directory);
    } catch (const Error& error) {
      tell(error);  // And the others go all the same.
    }
  }
}

}  // namespace sys
