// The attacks that step 02 stops. They see and kill processes of the host.
//
// Root can signal each process that has a PID in its PID namespace, and /proc
// lists these PIDs. In a new PID namespace, the host's processes have no PID.

#include <dirent.h>
#include <sys/wait.h>

#include <cctype>
#include <csignal>

#include "steps/probe.hpp"

namespace {

probe::Answer processes(const std::string& /*unused*/) {
  if (!probe::has_proc()) return probe::refused("mount /proc");
  DIR* const proc = ::opendir("/proc");
  if (proc == nullptr) return probe::refused("open /proc");
  std::string names = "/proc has";
  while (const dirent* const entry = ::readdir(proc)) {
    if (std::isdigit(entry->d_name[0]) == 0) continue;
    const auto file = std::string{"/proc/"} + entry->d_name + "/comm";
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd == -1) continue;  // It has just ended.
    names += " " + probe::first_line(fd);
    ::close(fd);
  }
  ::closedir(proc);
  return probe::done(names);
}

// If no process has the PID, kills a child instead. This shows that the probe
// can kill processes of its own namespace.
probe::Answer kill(const std::string& number) {
  if (::kill(std::stoi(number), SIGKILL) == 0)
    return probe::done("kill process " + number);
  if (errno != ESRCH) return probe::refused("kill process " + number);
  const pid_t child = ::fork();
  if (child == 0)
    for (;;) ::pause();
  if (child == -1 || ::kill(child, SIGKILL) == -1)
    return probe::refused("kill a child");
  (void)::waitpid(child, nullptr, 0);
  return probe::done("kill process " + number + ": ESRCH; kill its own child " +
                     std::to_string(child));
}

}  // namespace

int main(int argc, char** argv) {
  return probe::run(argc, argv, {{"processes", processes}, {"kill", kill}});
}
