// The mounts that config.json lists. They are made in no mount table, by
// fsopen(2) and open_tree(2), while the paths of the host are in reach. They
// are put in place when the container's root is ours. Then a link in the image
// leads to nothing but the image.

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <filesystem>
#include <map>

#include "common/mount.hpp"
#include "steps/oci/layers.hpp"

namespace {

// What an option sets, and what it clears.
const std::map<std::string, std::pair<std::uint64_t, std::uint64_t>>
    kAttributes{{"ro", {MOUNT_ATTR_RDONLY, 0}},
                {"rw", {0, MOUNT_ATTR_RDONLY}},
                {"nosuid", {MOUNT_ATTR_NOSUID, 0}},
                {"suid", {0, MOUNT_ATTR_NOSUID}},
                {"nodev", {MOUNT_ATTR_NODEV, 0}},
                {"dev", {0, MOUNT_ATTR_NODEV}},
                {"noexec", {MOUNT_ATTR_NOEXEC, 0}},
                {"exec", {0, MOUNT_ATTR_NOEXEC}},
                {"relatime", {MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME}},
                {"noatime", {MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME}},
                {"strictatime", {MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME}},
                {"nodiratime", {MOUNT_ATTR_NODIRATIME, 0}},
                {"defaults", {0, 0}}};

// "rslave" and its like, as mount(2) has them; 0 for other words.
unsigned long propagation_flag(const std::string& word) {
  const std::map<std::string, unsigned long> flags{
      {"private", MS_PRIVATE},
      {"shared", MS_SHARED},
      {"slave", MS_SLAVE},
      {"unbindable", MS_UNBINDABLE}};
  const bool is_deep = word.starts_with('r');
  const auto found = flags.find(is_deep ? word.substr(1) : word);
  if (found == flags.end()) return 0;
  return found->second | (is_deep ? 1UL * MS_REC : 0);
}

// What the options of one mount say.
struct Options {
  bool is_bind = false, is_copied_up = false;
  unsigned recursive = 0;
  mount_attr attributes{}, propagation{};
  unsigned deep_propagation = 0;
  std::vector<std::string> data;  // For the file system.
};

Options parse(const Json& mount) {
  Options result;
  for (const std::string& option : texts(mount, "/options")) {
    if (option == "bind" || option == "rbind") {
      result.is_bind = true;
      result.recursive = option == "rbind" ? AT_RECURSIVE : 0;
    } else if (const auto found = kAttributes.find(option);
               found != kAttributes.end()) {
      const auto [set, clear] = found->second;
      auto& attributes = result.attributes;
      attributes.attr_set = (attributes.attr_set & ~clear) | set;
      attributes.attr_clr |= clear;
    } else if (const auto flag = propagation_flag(option); flag != 0) {
      result.propagation.propagation = flag & ~(1UL * MS_REC);
      result.deep_propagation = (flag & MS_REC) != 0 ? AT_RECURSIVE : 0;
    } else if (option == "tmpcopyup") {
      result.is_copied_up = true;
    } else {
      result.data.push_back(option);
    }
  }
  // A file system refuses what it does not know. A bind has one already, and so
  // ignores what was for a new one, such as mode=755; but not other words.
  for (const auto& option : result.data)
    if (result.is_bind && option.find('=') == option.npos)
      refuse_config("the mount option {} is not supported", option);
  return result;
}

void change(const sys::Fd& tree, const mount_attr& wanted, unsigned flags = 0) {
  sys::check(::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH | flags,
                       &wanted, sizeof wanted),
             "mount_setattr(2)");
}

void configure(const sys::Fd& fs, unsigned command, const char* key = nullptr,
               const char* value = nullptr) {
  sys::check(::syscall(SYS_fsconfig, fs.get(), command, key, value, 0),
             "fsconfig(2) {} {}", key == nullptr ? "" : key,
             value == nullptr ? "" : value);
}

sys::Fd make_file_system(const std::string& type, const std::string& source,
                         const Options& options) {
  const sys::Fd fs{static_cast<int>(
      sys::check(::syscall(SYS_fsopen, type.c_str(), FSOPEN_CLOEXEC),
                 "fsopen(2) {}", type))};
  configure(fs, FSCONFIG_SET_STRING, "source", source.c_str());
  for (const auto& option : options.data) {
    const auto equals = option.find('=');
    const auto key = option.substr(0, equals);
    if (equals == option.npos)
      configure(fs, FSCONFIG_SET_FLAG, key.c_str());
    else
      configure(fs, FSCONFIG_SET_STRING, key.c_str(), &option[equals + 1]);
  }
  configure(fs, FSCONFIG_CMD_CREATE);
  return sys::Fd{static_cast<int>(
      sys::check(::syscall(SYS_fsmount, fs.get(), FSMOUNT_CLOEXEC,
                           options.attributes.attr_set),
                 "fsmount(2) {}", type))};
}

// The type "cgroup" stands for the container's cgroups: one directory on v2,
// and one for each hierarchy on v1.
void make_cgroup_mounts(const std::string& target, const Options& options,
                        const std::vector<sys::Cgroup>& groups,
                        std::vector<Mount>& mounts) {
  const bool is_one = groups.size() == 1;
  if (!is_one)
    mounts.push_back({target, make_file_system("tmpfs", "cgroup", Options{})});
  for (const auto& group : groups) {
    auto tree = copy_tree(group.directory);
    change(tree, options.attributes);
    const auto& name = group.controllers[0];
    mounts.push_back(
        {is_one ? target : target + "/" + name.substr(name.find('=') + 1),
         std::move(tree)});
  }
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

sys::Fd copy_tree(const std::string& source, unsigned recursive) {
  return sys::Fd{static_cast<int>(
      sys::check(::syscall(SYS_open_tree, AT_FDCWD, source.c_str(),
                           OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive),
                 "open_tree(2) {}", source))};
}

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

std::vector<Mount> make_mounts(const Json& config, const std::string& bundle,
                               const std::vector<sys::Cgroup>& groups) {
  std::vector<Mount> mounts;
  for (const Json& mount : at(config, "/mounts")) {
    const auto target = "/" + need<std::string>(mount, "/destination");
    const auto type = get<std::string>(mount, "/type", "none");
    const auto options = parse(mount);
    if (type == "cgroup" && !options.is_bind) {
      make_cgroup_mounts(target, options, groups, mounts);
      continue;
    }
    auto source = get<std::string>(mount, "/source", type);
    if (options.is_bind && !source.starts_with('/'))
      source = bundle + "/" + source;
    auto tree = options.is_bind ? copy_tree(source, options.recursive)
                                : make_file_system(type, source, options);
    if (options.is_bind) change(tree, options.attributes);
    change(tree, options.propagation, options.deep_propagation);
    mounts.push_back(
        {target, std::move(tree), options.is_bind, options.is_copied_up});
  }
  // mknod(2) refuses devices in a user namespace, so it gets those of the host.
  if (has_namespace(config, "user"))
    for (const auto& name : default_devices())
      mounts.push_back({"/dev/" + name, copy_tree("/dev/" + name), true});
  return mounts;
}

void place_mounts(const std::vector<Mount>& mounts) {
  for (const auto& mount : mounts) {
    std::error_code missing;
    if (mount.is_copied_up &&
        !std::filesystem::is_empty(mount.target, missing) && !missing)
      refuse_config("tmpcopyup is not supported, because {} has files",
                    mount.target);
    struct stat root {};
    sys::check(::fstat(mount.tree.get(), &root), "fstat(2) a mount");
    const auto place = open_place(mount.target, S_ISDIR(root.st_mode));
    sys::check(::syscall(SYS_move_mount, mount.tree.get(), "", place.get(), "",
                         MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH),
               "move_mount(2) to {}", mount.target);
  }
}

void finish_root(const Json& config) {
  if (get(config, "/root/readonly", false))
    sys::set_mount_attributes("/", MOUNT_ATTR_RDONLY);
  const auto word = get<std::string>(config, "/linux/rootfsPropagation", "");
  if (word.empty()) return;
  if (propagation_flag(word) == 0)
    refuse_config("the rootfsPropagation {} is not supported", word);
  sys::mount(nullptr, "/", nullptr, propagation_flag(word), nullptr);
}
