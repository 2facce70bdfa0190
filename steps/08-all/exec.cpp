// The last thing that the child does: it becomes the user of --user, and runs
// the command with a new environment. A child inherits its caller's groups,
// signal mask and environment, whatever its namespaces are.

#include <grp.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string_view>

#include "common/process.hpp"
#include "steps/08-all/layers.hpp"

void become_user(sys::Ids ids) {
  if (ids.user == 0 && ids.group == 0) return;
  if (::setresgid(ids.group, ids.group, ids.group) == -1 && errno == EINVAL)
    throw sys::Error{
        EINVAL, sys::format("setresgid(2): become group {}", ids.group),
        "an ordinary user's container has one user, and that is 0"};
  sys::check(::setresgid(ids.group, ids.group, ids.group),
             "setresgid(2): become group {}", ids.group);
  sys::check(::setresuid(ids.user, ids.user, ids.user),
             "setresuid(2): become user {}", ids.user);
}

namespace {

constexpr const char* kPath = "/usr/sbin:/usr/bin:/sbin:/bin";

std::vector<std::string> make_environment(const std::vector<std::string>& said,
                                          sys::Ids ids) {
  std::vector<std::string> variables{
      std::string{"PATH="} + kPath,
      ids.user == 0 ? "HOME=/root" : "HOME=/",
  };
  if (const char* const terminal = ::getenv("TERM"))
    variables.push_back(std::string{"TERM="} + terminal);
  for (const auto& variable : said) {
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

void execute(char** command, const std::vector<std::string>& environment,
             sys::Ids ids) {
  // What the caller ignores stays ignored, as by any exec: see nohup(1).
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  auto variables = make_environment(environment, ids);
  std::string path;
  std::vector<char*> pointers;
  for (auto& variable : variables) {
    if (variable.starts_with("PATH=")) path = variable.substr(5);
    pointers.push_back(variable.data());
  }
  pointers.push_back(nullptr);
  sys::narrate("execve(2) {}", command[0]);
  errno = try_along_path(command, pointers.data(), path);
  sys::exec_failed(command[0], path.c_str());
}
