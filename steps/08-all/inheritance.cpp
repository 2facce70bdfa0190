// What a child inherits from its caller, past all namespaces: keys, open
// descriptors, signal dispositions, groups, the environment.

#include <grp.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string_view>

#include "common/process.hpp"
#include "steps/08-all/layers.hpp"

void leave_keys() {
  const auto keyring =
      ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
  if (keyring == -1 && errno == ENOSYS) return;  // A kernel without keys.
  sys::check(keyring, "join a new session keyring");
}

void leave_descriptors() {
  // Closed now, and not only marked close-on-exec, because execve(2) opens the
  // command first: "/proc/self/fd/9/bin/sh", perhaps. The descriptor that stays
  // is the pipe to our parent, through which we report a failure.
  const auto kept = static_cast<unsigned>(sys::failure_descriptor());
  sys::check(::syscall(SYS_close_range, STDERR_FILENO + 1, kept - 1, 0),
             "close the descriptors from 3 on");
  sys::check(::syscall(SYS_close_range, kept + 1, ~0U, 0),
             "close the descriptors above {}", kept);
}

void become_user(const sys::Arguments& args) {
  if (args.user == 0 && args.group == 0) return;
  if (::setresgid(args.group, args.group, args.group) == -1 && errno == EINVAL)
    throw sys::Error{
        EINVAL, sys::format("become group {}", args.group),
        "an ordinary user's container has one user, and that is 0"};
  sys::check(::setresgid(args.group, args.group, args.group), "become group {}",
             args.group);
  sys::check(::setresuid(args.user, args.user, args.user), "become user {}",
             args.user);
}

namespace {

constexpr const char* kPath = "/usr/sbin:/usr/bin:/sbin:/bin";

std::vector<std::string> make_environment(const sys::Arguments& args) {
  std::vector<std::string> variables{
      std::string{"PATH="} + kPath,
      args.user == 0 ? "HOME=/root" : "HOME=/",
  };
  if (const char* const terminal = ::getenv("TERM"))
    variables.push_back(std::string{"TERM="} + terminal);
  for (const auto& variable : args.environment) {
    const auto name = variable.substr(0, variable.find('=') + 1);
    std::erase_if(variables, [&](const std::string& known) {
      return known.starts_with(name);
    });
    variables.push_back(variable);
  }
  return variables;
}

// Tries each directory of PATH, and keeps the failure that tells most.
int try_along_path(char** words, char** variables, const std::string& path) {
  const std::string name{words[0]};
  if (name.find('/') != name.npos) {
    (void)::execve(words[0], words, variables);  // Back only if it failed.
    return errno;
  }
  int failure = ENOENT;
  std::string_view rest{path};
  while (!name.empty() && !rest.empty()) {
    const auto end = rest.find(':');
    const auto file = sys::format("{}/{}", rest.substr(0, end), name);
    (void)::execve(file.c_str(), words, variables);
    if (errno != ENOENT && errno != ENOTDIR) failure = errno;
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
  }
  return failure;
}

}  // namespace

void execute(const sys::Arguments& args) {
  // What the caller ignores stays ignored, as by any exec: see nohup(1).
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  auto variables = make_environment(args);
  std::string path;
  std::vector<char*> pointers;
  for (auto& variable : variables) {
    if (variable.starts_with("PATH=")) path = variable.substr(5);
    pointers.push_back(variable.data());
  }
  pointers.push_back(nullptr);
  sys::narrate("execve {}", args.command[0]);
  errno = try_along_path(args.command, pointers.data(), path);
  sys::exec_failed(args.command[0], path.c_str());
}
