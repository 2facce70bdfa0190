// What `process` in config.json says the command shall be: its directory, its
// limits, its user, its capabilities, its words. And hooks, which are programs
// of the caller.

#include <grp.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <csignal>
#include <filesystem>
#include <sstream>

#include "common/process.hpp"
#include "steps/oci/layers.hpp"

namespace {

// "CAP_CHOWN" is 0, and so on; "RLIMIT_CPU" is 0. The Makefile cuts them out of
// the headers that we are compiled with.
const std::map<std::string, unsigned> kCapabilities{
#include "oci-capabilities.inc"
};
const std::map<std::string, unsigned> kResources{
#include "oci-resources.inc"
};

// One that we lack ourselves is not given.
std::uint64_t set_of(const Json& process, const std::string& set) {
  std::uint64_t bits = 0;
  for (const auto& name : texts(process, "/capabilities/" + set)) {
    const auto found = kCapabilities.find(name);
    if (found == kCapabilities.end())
      refuse_config("the capability {} is not supported", name);
    if (::prctl(PR_CAPBSET_READ, found->second) == 1)
      bits |= 1ULL << found->second;
  }
  return bits;
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
  std::istringstream directories{path};
  for (std::string directory; std::getline(directories, directory, ':');) {
    auto file = directory + "/" + name;
    if (std::filesystem::is_regular_file(file) &&
        ::access(file.c_str(), X_OK) == 0)
      return file;
  }
  errno = ENOENT;
  sys::exec_failed(name.c_str(), path.c_str());
}

// execve(2). Throws, because it returns only if it fails.
[[noreturn]] void exec_with(const std::string& program,
                            std::vector<std::string> words,
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

void run_hook(const Json& hook, const std::string& state) {
  const auto path = need<std::string>(hook, "/path");
  const sys::Fd input{sys::check(::memfd_create("state", MFD_CLOEXEC),
                                 "memfd_create(2): the state for a hook")};
  sys::check(::pwrite(input.get(), state.data(), state.size(), 0), "pwrite(2)");
  sys::Child child = sys::clone(0, [&] {
    sys::check(::dup2(input.get(), STDIN_FILENO), "dup2(2)");
    ::alarm(get(hook, "/timeout", 0U));  // SIGALRM ends it, with status 142.
    exec_with(path, get(hook, "/args", std::vector{path}), texts(hook, "/env"));
  });
  if (const int status = child.wait(); status != 0)
    throw std::runtime_error{
        sys::format("the hook {} ended with status {}", path, status)};
}

}  // namespace

std::function<void()> prepare(const Json& process, const Json& config) {
  if (process.is_null())
    return {};  // `start` needs one, and `create` does not.
  const auto directory = need<std::string>(process, "/cwd");
  sys::check(::chdir(directory.c_str()), "chdir(2) to {}", directory);
  // A directory of the host has no path in here: see CVE-2024-21626.
  if (std::array<char, PATH_MAX> path{};
      ::getcwd(path.data(), path.size()) == nullptr)
    throw sys::Error{errno, "getcwd(3) in " + directory};
  set_limits(process);

  const auto program = find_program(process);
  const auto words = texts(process, "/args");
  const auto variables = texts(process, "/env");
  const auto user = get<uid_t>(process, "/user/uid", 0);
  const auto group = get<gid_t>(process, "/user/gid", 0);
  const auto groups =
      get<std::vector<gid_t>>(process, "/user/additionalGids", {});
  const auto mask = get<mode_t>(process, "/user/umask", 022);
  const auto bounding = set_of(process, "bounding");
  const Capabilities kept{set_of(process, "permitted"),
                          set_of(process, "effective"),
                          set_of(process, "inheritable")};
  if ((kept.effective & ~kept.permitted) != 0)
    refuse_config("an effective capability is not permitted");
  const auto ambient =
      set_of(process, "ambient") & kept.permitted & kept.inheritable;
  const bool no_new_privileges = get(process, "/noNewPrivileges", false);
  const Json& seccomp = at(config, "/linux/seccomp");
  const auto filter = seccomp.is_null() ? Program{} : make_filter(seccomp);

  return [=] {
    bound_capabilities(bounding);
    // Without no_new_privs, a filter needs CAP_SYS_ADMIN, so it comes first.
    if (!no_new_privileges && !filter.empty()) install_filter(filter);
    sys::check(::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0),
               "prctl(2) PR_SET_KEEPCAPS");
    sys::check(::setgroups(groups.size(), groups.data()), "setgroups(2)");
    sys::check(::setresgid(group, group, group), "setresgid(2) {}", group);
    sys::check(::setresuid(user, user, user), "setresuid(2) {}", user);
    ::umask(mask);
    keep_capabilities(kept);
    raise_ambient(ambient);
    if (no_new_privileges) {
      sys::check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
                 "prctl(2) PR_SET_NO_NEW_PRIVS 1");
      if (!filter.empty()) install_filter(filter);
    }
    // execve(2) resets handlers, but what the caller ignores or blocks stays
    // so.
    for (int signal = 1; signal < NSIG; ++signal) std::signal(signal, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    exec_with(program, words, variables);
  };
}

void run_hooks(const Container& container, const std::string& kind) {
  for (const Json& hook : at(container.config(), "/hooks/" + kind)) try {
      run_hook(hook, container.state().dump());
    } catch (const std::exception& error) {
      if (!kind.starts_with("post")) throw;
      sys::note(error.what());
    }
}
