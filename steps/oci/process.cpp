// What `process` in config.json says the command shall be: its directory, its
// limits, its user, its capabilities, its words.

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <map>

#include "common/process.hpp"
#include "steps/oci/layers.hpp"

namespace {

// "CAP_CHOWN" is 0, and so on; "RLIMIT_CPU" is 0. The Makefile cuts them out of
// the headers that we are compiled with.
const std::map<std::string, unsigned> kCapabilities{
#include "build/oci-capabilities.inc"
};
const std::map<std::string, unsigned> kResources{
#include "build/oci-resources.inc"
};

// One that we lack ourselves is not given.
std::uint64_t set_of(const Json& process, const std::string& set,
                     std::uint64_t ours) {
  std::uint64_t bits = 0;
  for (const auto& name : texts(process, "/capabilities/" + set)) {
    const auto found = kCapabilities.find(name);
    if (found == kCapabilities.end())
      refuse_config("the capability {} is not supported", name);
    bits |= 1ULL << found->second;
  }
  return bits & ours;
}

std::uint64_t our_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};  // Low and high 32 bits.
  sys::check(::syscall(SYS_capget, &header, sets.data()), "capget(2)");
  return sets[0].permitted | static_cast<std::uint64_t>(sets[1].permitted)
                                 << 32;
}

// Ambient capabilities are those that a program of an ordinary user gets.
void raise_ambient(std::uint64_t bits) {
  for (unsigned long capability = 0; capability < 64; ++capability)
    if (((bits >> capability) & 1) != 0)
      sys::check(
          ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0),
          "prctl(2) PR_CAP_AMBIENT_RAISE {}", capability);
}

void set_limits(const Json& process) {
  auto left = kResources;
  for (const Json& one : at(process, "/rlimits")) {
    const auto name = need<std::string>(one, "/type");
    const auto resource = left.extract(name);  // Each only once.
    if (resource.empty())
      refuse_config("there is no limit {}, or it is there twice", name);
    const rlimit limit{need<rlim_t>(one, "/soft"), need<rlim_t>(one, "/hard")};
    sys::check(::setrlimit(static_cast<decltype(RLIMIT_CPU)>(resource.mapped()),
                           &limit),
               "setrlimit(2) {}", name);
  }
}

std::string find_program(const Json& process) {
  auto name = need<std::string>(process, "/args/0");
  if (name.find('/') != name.npos) return name;
  std::string path = "/bin:/usr/bin";
  for (const auto& variable : texts(process, "/env"))
    if (variable.starts_with("PATH=")) path = variable.substr(5);
  for (std::size_t begin = 0; begin <= path.size();) {
    const auto end = std::min(path.find(':', begin), path.size());
    auto file = path.substr(begin, end - begin) + "/" + name;
    if (std::filesystem::is_regular_file(file) &&
        ::access(file.c_str(), X_OK) == 0)
      return file;
    begin = end + 1;
  }
  errno = ENOENT;
  sys::exec_failed(name.c_str(), path.c_str());
}

}  // namespace

void exec_with(const std::string& program, std::vector<std::string> words,
               std::vector<std::string> variables) {
  const auto pointers_to = [](std::vector<std::string>& list) {
    std::vector<char*> pointers;
    for (auto& text : list) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
  };
  ::execve(program.c_str(), pointers_to(words).data(),
           pointers_to(variables).data());
  sys::exec_failed(program.c_str());
}

Command prepare(const Json& process, const Json& config) {
  if (process.is_null())
    return {};  // `start` needs one, and `create` does not.
  const auto directory = need<std::string>(process, "/cwd");
  sys::check(::chdir(directory.c_str()), "chdir(2) to {}", directory);
  // A directory of the host has no path in here: see CVE-2024-21626.
  std::array<char, PATH_MAX> path{};
  const auto length = ::syscall(SYS_getcwd, path.data(), path.size());
  if (length == -1 || path[0] != '/')
    throw std::runtime_error{"chdir(2): " + directory + " is outside"};
  set_limits(process);

  const auto ours = our_capabilities();
  Command command{.program = find_program(process),
                  .words = texts(process, "/args"),
                  .variables = texts(process, "/env"),
                  .user = get<uid_t>(process, "/user/uid", 0),
                  .group = get<gid_t>(process, "/user/gid", 0),
                  .umask = get<mode_t>(process, "/user/umask", 022),
                  .bounding = set_of(process, "bounding", ours),
                  .kept = {set_of(process, "permitted", ours),
                           set_of(process, "effective", ours),
                           set_of(process, "inheritable", ours)}};
  if ((command.kept.effective & ~command.kept.permitted) != 0)
    refuse_config("an effective capability is not permitted");
  for (const Json& one : at(process, "/user/additionalGids"))
    command.groups.push_back(need<gid_t>(one, ""));
  command.ambient = set_of(process, "ambient",
                           command.kept.permitted & command.kept.inheritable);
  command.no_new_privileges = get(process, "/noNewPrivileges", false);
  if (const Json& seccomp = at(config, "/linux/seccomp"); !seccomp.is_null())
    command.filter = make_filter(seccomp);
  return command;
}

void execute(const Command& command) {
  bound_capabilities(command.bounding);
  // Without no_new_privs, a filter needs CAP_SYS_ADMIN, so it comes first.
  if (!command.no_new_privileges && !command.filter.empty())
    install_filter(command.filter);
  sys::check(::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(2) PR_SET_KEEPCAPS");
  sys::check(::setgroups(command.groups.size(), command.groups.data()),
             "setgroups(2)");
  const auto [user, group] = std::pair{command.user, command.group};
  sys::check(::setresgid(group, group, group), "setresgid(2) {}", group);
  sys::check(::setresuid(user, user, user), "setresuid(2) {}", user);
  ::umask(command.umask);
  keep_capabilities(command.kept);
  raise_ambient(command.ambient);
  if (command.no_new_privileges) {
    sys::check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
               "prctl(2) PR_SET_NO_NEW_PRIVS 1");
    if (!command.filter.empty()) install_filter(command.filter);
  }
  // execve(2) resets handlers, but what the caller ignores or blocks stays so.
  for (int signal = 1; signal < NSIG; ++signal) std::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  exec_with(command.program, command.words, command.variables);
}
