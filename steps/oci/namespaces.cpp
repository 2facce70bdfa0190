// Namespaces, and what is set in each of them.

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "common/file.hpp"
#include "common/mount.hpp"
#include "common/netlink.hpp"
#include "steps/oci/layers.hpp"

namespace {

const std::map<std::string, int> kKinds{
    {"pid", CLONE_NEWPID},      {"user", CLONE_NEWUSER},
    {"uts", CLONE_NEWUTS},      {"mount", CLONE_NEWNS},
    {"ipc", CLONE_NEWIPC},      {"network", CLONE_NEWNET},
    {"cgroup", CLONE_NEWCGROUP}};

// A kind that we do not know is an error, and not passed over.
int flag_of(const Json& name_space) {
  const auto type = need<std::string>(name_space, "/type");
  if (!kKinds.contains(type))
    refuse_config("a namespace of type {} is not supported", type);
  return kKinds.at(type);
}

// Settings of the kernel that a new namespace has for itself. All others are
// the host's.
bool is_the_containers(const std::string& key, const Json& config) {
  const auto begins = [&](const char* text) { return key.starts_with(text); };
  if (key.find('/') != key.npos) return false;
  if (begins("net.")) return makes_namespace(config, "network");
  return makes_namespace(config, "ipc") &&
         (begins("kernel.shm") || begins("kernel.msg") ||
          begins("fs.mqueue.") || key == "kernel.sem");
}

}  // namespace

int namespaces(const Json& config, bool only_new) {
  int all = 0;
  int found = 0;
  for (const Json& one : at(config, "/linux/namespaces")) {
    const int flag = flag_of(one);
    if ((all & flag) != 0)
      refuse_config("/linux/namespaces lists one twice: {}", one.dump());
    all |= flag;
    if (!only_new || get<std::string>(one, "/path", "").empty()) found |= flag;
  }
  return found;
}

bool makes_namespace(const Json& config, const std::string& type) {
  return (namespaces(config, true) & kKinds.at(type)) != 0;
}

Visit::Visit(const Json& config) {
  for (const Json& one : at(config, "/linux/namespaces")) {
    const auto path = get<std::string>(one, "/path", "");
    const auto type = need<std::string>(one, "/type");
    if (path.empty()) continue;
    if (type == "user" || type == "mount")
      refuse_config("a path for a namespace of type {} is not supported", type);
    const auto own = "/proc/self/ns/" + (type == "network" ? "net" : type);
    back_.emplace_back(open_file(own, O_RDONLY), flag_of(one));
    sys::check(::setns(open_file(path, O_RDONLY).get(), flag_of(one)),
               "setns(2) to {}", path);
  }
}

Visit::~Visit() {
  for (const auto& [own, flag] : back_) (void)::setns(own.get(), flag);
}

void map_ids(const Json& config, pid_t child) {
  for (const std::string kind : {"uid", "gid"}) {
    std::string map;
    for (const Json& one : at(config, "/linux/" + kind + "Mappings"))
      map += sys::format("{} {} {}\n", need<unsigned>(one, "/containerID"),
                         need<unsigned>(one, "/hostID"),
                         need<unsigned>(one, "/size"));
    if (map.empty() != !makes_namespace(config, "user"))
      refuse_config("a user namespace needs {0}Mappings, and {0}Mappings it",
                    kind);
    if (!map.empty())
      sys::write_file(sys::format("/proc/{}/{}_map", child, kind), map);
  }
}

void become_root(const Json& config) {
  if (!makes_namespace(config, "user")) return;
  sys::check(::setgroups(0, nullptr), "setgroups(2): drop the caller's groups");
  sys::check(::setresgid(0, 0, 0), "setresgid(2): become group 0");
  sys::check(::setresuid(0, 0, 0), "setresuid(2): become user 0");
}

void set_up_namespaces(const Json& config) {
  if (makes_namespace(config, "cgroup"))
    sys::check(::unshare(CLONE_NEWCGROUP), "unshare(2) CLONE_NEWCGROUP");
  const auto name = get<std::string>(config, "/hostname", "");
  if (!name.empty() && !makes_namespace(config, "uts"))
    refuse_config("without a new UTS namespace, the host name is the host's");
  if (!name.empty())
    sys::check(::sethostname(name.data(), name.size()), "sethostname(2) {}",
               name);
  if (makes_namespace(config, "network")) sys::Netlink{}.set_up("lo");
  for (const auto& [key, value] : at(config, "/linux/sysctl").items()) {
    if (!is_the_containers(key, config))
      refuse_config("/linux/sysctl/{} is a setting of the host", key);
    auto path = "/proc/sys/" + key;
    std::replace(path.begin(), path.end(), '.', '/');
    sys::write_file(path, need<std::string>(config, "/linux/sysctl/" + key));
  }
}

void enter_root(const Json& config, const std::string& bundle) {
  // What the host unmounts later goes away in the container as well, and not
  // the other way round.
  sys::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr);
  const std::string root =
      std::filesystem::path{bundle} / need<std::string>(config, "/root/path");
  sys::mount(root.c_str(), root, nullptr, MS_BIND | MS_REC, nullptr);
  sys::check(::chdir(root.c_str()), "chdir(2) to {}", root);
}

// Makes the working directory the root of all mounts, and unmounts the old
// root. Then the mount table does not contain the old tree, so a second
// chroot(2) cannot go there. For a moment, the old root lies on top of the new
// one: see pivot_root(2), NOTES.
void pivot_root() {
  sys::check(::syscall(SYS_pivot_root, ".", "."),
             "pivot_root(2): make this the root mount");
  sys::check(::umount2(".", MNT_DETACH), "umount2(2) the old root");
  sys::check(::chdir("/"), "chdir(2) to /");
}
