// The mounts that config.json lists. They are made in no mount table, by
// fsopen(2) and open_tree(2), while the paths of the host are in reach. They
// are put in place when the container's root is ours. Then a link in the image
// leads to nothing but the image.

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <filesystem>

#include "common/mount.hpp"
#include "steps/oci/layers.hpp"

namespace fs = std::filesystem;

namespace {

// The options of all mounts. Any other word is for the file system.
const std::map<std::string, mount_attr> kOptions{
    {"ro", {.attr_set = MOUNT_ATTR_RDONLY}},
    {"rw", {.attr_clr = MOUNT_ATTR_RDONLY}},
    {"nosuid", {.attr_set = MOUNT_ATTR_NOSUID}},
    {"suid", {.attr_clr = MOUNT_ATTR_NOSUID}},
    {"nodev", {.attr_set = MOUNT_ATTR_NODEV}},
    {"dev", {.attr_clr = MOUNT_ATTR_NODEV}},
    {"noexec", {.attr_set = MOUNT_ATTR_NOEXEC}},
    {"exec", {.attr_clr = MOUNT_ATTR_NOEXEC}},
    {"relatime", {MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME}},
    {"noatime", {MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME}},
    {"strictatime", {MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME}},
    {"nodiratime", {.attr_set = MOUNT_ATTR_NODIRATIME}},
    {"private", {.propagation = MS_PRIVATE}},
    {"shared", {.propagation = MS_SHARED}},
    {"slave", {.propagation = MS_SLAVE}},
    {"unbindable", {.propagation = MS_UNBINDABLE}},
    {"bind", {}},
    {"defaults", {}},
    {"tmpcopyup", {}}};

// What an option changes, or nullptr. With an r before it, "rro" say, the
// change is also for all mounts below.
const mount_attr* change_by(const std::string& option) {
  auto found = kOptions.find(option);
  if (found == kOptions.end() && option.starts_with('r'))
    found = kOptions.find(option.substr(1));
  return found == kOptions.end() ? nullptr : &found->second;
}

// One after the other, so the last word counts.
void obey(const sys::Fd& tree, const std::vector<std::string>& options) {
  for (const auto& option : options) {
    const auto* const change = change_by(option);
    if (change == nullptr) continue;
    const int flags = kOptions.contains(option) ? 0 : AT_RECURSIVE;
    sys::check(::syscall(SYS_mount_setattr, tree.get(), "",
                         AT_EMPTY_PATH | flags, change, sizeof *change),
               "mount_setattr(2) {}", option);
  }
}

bool has(const std::vector<std::string>& options, const char* name) {
  return std::find(options.begin(), options.end(), name) != options.end();
}

void configure(const sys::Fd& fs, unsigned command, const char* key = nullptr,
               const char* value = nullptr) {
  sys::check(::syscall(SYS_fsconfig, fs.get(), command, key, value, 0),
             "fsconfig(2) {} {}", key == nullptr ? "" : key,
             value == nullptr ? "" : value);
}

// The file system refuses a word that it does not know.
sys::Fd make_file_system(const std::string& type, const std::string& source,
                         const std::vector<std::string>& options) {
  const sys::Fd made{static_cast<int>(
      sys::check(::syscall(SYS_fsopen, type.c_str(), FSOPEN_CLOEXEC),
                 "fsopen(2) {}", type))};
  configure(made, FSCONFIG_SET_STRING, "source", source.c_str());
  for (const auto& option : options) {
    const auto equals = option.find('=');
    const auto key = option.substr(0, equals);
    if (change_by(option) != nullptr) continue;
    if (equals == option.npos)
      configure(made, FSCONFIG_SET_FLAG, key.c_str());
    else
      configure(made, FSCONFIG_SET_STRING, key.c_str(), &option[equals + 1]);
  }
  configure(made, FSCONFIG_CMD_CREATE);
  return sys::Fd{static_cast<int>(
      sys::check(::syscall(SYS_fsmount, made.get(), FSMOUNT_CLOEXEC, 0),
                 "fsmount(2) {}", type))};
}

// A bind has a file system already, and so ignores what was for a new one, such
// as mode=755; but not other words.
sys::Fd copy_bind(const std::string& source,
                  const std::vector<std::string>& options) {
  for (const auto& option : options)
    if (change_by(option) == nullptr && option.find('=') == option.npos)
      refuse_config("the mount option {} is not supported", option);
  return sys::copy_mount(source, has(options, "rbind") ? AT_RECURSIVE : 0U);
}

// The type "cgroup" stands for the container's cgroups: one directory on v2,
// and one for each hierarchy on v1.
std::vector<Json> parts_of(const Json& mount, const Json& config) {
  if (at(mount, "/type") != "cgroup" || has(texts(mount, "/options"), "bind"))
    return {mount};
  const auto groups = name_cgroups(config);
  const auto path = need<std::string>(config, "/linux/cgroupsPath");
  const auto target = need<std::string>(mount, "/destination");
  std::vector<Json> parts;
  if (groups.size() > 1)
    parts.push_back({{"destination", target}, {"type", "tmpfs"}});
  for (const auto& group : groups) {
    const fs::path hierarchy{group.substr(0, group.size() - path.size())};
    auto& part = parts.emplace_back(mount);
    part["options"].push_back("bind");
    part["source"] = group;
    if (groups.size() > 1)
      part["destination"] = target + "/" + hierarchy.filename().string();
  }
  return parts;
}

// No link of the kernel's, such as /proc/self/fd/3, and what it leads to.
sys::Fd open_inside(const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_NO_MAGICLINKS;
  return sys::Fd{static_cast<int>(
      ::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how))};
}

}  // namespace

sys::Fd open_place(const std::string& path, bool is_directory) {
  for (std::size_t end = 0; end != path.npos;) {
    const auto begin = path.find_first_not_of('/', end);
    if (begin == path.npos) break;
    end = path.find('/', begin);
    const auto parent = open_inside(path.substr(0, begin));
    const auto name = path.substr(begin, end - begin);
    if (end == path.npos && !is_directory)
      sys::Fd{::openat(parent.get(), name.c_str(), O_CREAT | O_EXCL | O_CLOEXEC,
                       0644)};
    else
      (void)::mkdirat(parent.get(), name.c_str(), 0755);
  }
  auto opened = open_inside(path);
  sys::check(opened.get(), "openat2(2) {} in the container", path);
  return opened;
}

std::vector<Mount> make_mounts(const Json& config, const std::string& bundle) {
  std::vector<Mount> mounts;
  for (const Json& listed : at(config, "/mounts"))
    for (const Json& mount : parts_of(listed, config)) {
      const auto options = texts(mount, "/options");
      const bool is_bind = has(options, "bind") || has(options, "rbind");
      const auto type = get<std::string>(mount, "/type", "none");
      const fs::path source{get(mount, "/source", type)};
      auto tree = is_bind ? copy_bind(fs::path{bundle} / source, options)
                          : make_file_system(type, source, options);
      obey(tree, options);
      mounts.push_back({"/" + need<std::string>(mount, "/destination"),
                        std::move(tree), is_bind, has(options, "tmpcopyup")});
    }
  // mknod(2) refuses devices in a user namespace, so it gets those of the host.
  if (makes_namespace(config, "user"))
    for (const Json& device : default_devices()) {
      const auto path = need<std::string>(device, "/path");
      mounts.push_back({path, sys::copy_mount(path)});
    }
  return mounts;
}

void place(const Mount& mount) {
  std::error_code missing;
  if (mount.is_copied_up && !fs::is_empty(mount.target, missing) && !missing)
    refuse_config("tmpcopyup is not supported, because {} has files",
                  mount.target);
  struct stat root {};
  sys::check(::fstat(mount.tree.get(), &root), "fstat(2) a mount");
  const auto target = open_place(mount.target, S_ISDIR(root.st_mode));
  sys::check(::syscall(SYS_move_mount, mount.tree.get(), "", target.get(), "",
                       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH),
             "move_mount(2) to {}", mount.target);
}

void finish_root(const Json& config) {
  const sys::Fd root = open_file("/", O_PATH);
  if (get(config, "/root/readonly", false)) obey(root, {"ro"});
  const auto word = get<std::string>(config, "/linux/rootfsPropagation", "");
  if (word.empty()) return;
  const auto* const change = change_by(word);
  if (change == nullptr || change->propagation == 0)
    refuse_config("the rootfsPropagation {} is not supported", word);
  obey(root, {word});
}
