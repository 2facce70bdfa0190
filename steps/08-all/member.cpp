// Finds out when a container is finished. While main.cpp builds it, its first
// process is already in new namespaces, but its root directory is still that of
// the host. A command that joined it then would run on the host's files. So we
// wait until the container's command runs, because it runs behind all walls.

#include "steps/08-all/member.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <iomanip>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "common/file.hpp"

namespace {

// PF_FORKNOEXEC of the kernel's linux/sched.h. Only fork(2) sets it, and only
// execve(2) clears it.
constexpr unsigned kForkedOnly = 0x40;

[[noreturn]] void fail_to_find(pid_t pid, int errnum) {
  throw sys::Error{errnum,
                   sys::format("pidfd_open(2) {}: find the process", pid),
                   errnum == ESRCH || errnum == ENOENT
                       ? "pgrep 08-all prints those of 08-all"
                       : ""};
}

}  // namespace

Process::Process(pid_t pid)
    : pid_{pid},
      descriptor_{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))} {
  if (descriptor_.get() == -1) fail_to_find(pid, errno);
  const auto name = sys::format("/proc/{}", pid);
  directory_ = sys::Fd{::open(name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (directory_.get() == -1) fail_to_find(pid, errno);
  // If it is still alive, it had the PID when we opened the directory.
  if (has_ended()) fail_to_find(pid, ESRCH);
}

bool Process::has_ended(int milliseconds) const {
  pollfd end{descriptor_.get(), POLLIN, 0};
  return ::poll(&end, 1, milliseconds) == 1;
}

std::string Process::path(const std::string& file) const {
  return sys::format("/proc/self/fd/{}/{}", directory_.get(), file);
}

std::string Process::read(const std::string& file) const {
  try {
    return sys::read_file(path(file));
  } catch (const sys::Error& error) {
    if (has_ended()) return {};
    const int errnum = error.code().value();
    if (errnum == ENOENT || errnum == EPERM)
      throw std::runtime_error{sys::format(
          "/proc hides process {} (hidepid in proc(5)); hint: run it as root",
          pid_)};
    throw sys::Error{errnum, sys::format("read(2) /proc/{}/{}", pid_, file)};
  }
}

std::string Process::name_space(const std::string& kind) const {
  std::array<char, 64> target{};
  const auto size =
      ::readlink(path("ns/" + kind).c_str(), target.data(), target.size() - 1);
  if (size == -1 && errno == EACCES)
    throw sys::Error{
        EACCES, sys::format("readlink(2) /proc/{}/ns", pid_),
        status("Uid") == std::vector<long>(4, ::geteuid())
            ? "it allows nobody to; try another process of that container"
            : "enter a container as the user who started it, or as root"};
  if (size == -1 && errno != ENOENT && errno != ESRCH)
    throw sys::Error{errno, sys::format("readlink(2) /proc/{}/ns", pid_)};
  return target.data();
}

std::vector<long> Process::status(const std::string& field, int base) const {
  std::istringstream lines{read("status")};
  std::vector<long> numbers;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(field + ":")) continue;
    std::istringstream words{line.substr(field.size() + 1)};
    words >> std::setbase(base);
    for (long number = 0; words >> number;) numbers.push_back(number);
  }
  return numbers;
}

// See proc_pid_stat(5). The name in parentheses can contain parentheses.
Process::Stat Process::stat() const {
  const auto text = read("stat");
  Stat stat{'X', -1, kForkedOnly};
  if (text.empty()) return stat;
  std::istringstream words{text.substr(text.rfind(')') + 1)};
  long unused = 0;  // Group, session, terminal, and the group that has it.
  words >> stat.state >> stat.parent >> unused >> unused >> unused >> unused >>
      stat.flags;
  return stat;
}

std::vector<Process> Process::children() const {
  std::vector<Process> found;
  std::istringstream words{read(sys::format("task/{}/children", pid_))};
  for (pid_t pid = 0; words >> pid;) {
    try {
      Process child{pid};
      if (child.stat().parent == pid_) found.push_back(std::move(child));
    } catch (const sys::Error&) {
      continue;  // It has just ended.
    }
  }
  return found;
}

bool Process::has_run_a_program() const {
  return (stat().flags & kForkedOnly) == 0;
}

bool Process::is_stopped() const {
  const char state = stat().state;
  return state == 'T' || state == 't';
}

bool Process::is_ours() const {
  std::error_code ignored;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return std::filesystem::equivalent(path("exe"), own.parent_path() / "08-all",
                                     ignored);
}

namespace {

// The PIDs of a process, from the PID in our namespace to the PID in its own. A
// process of the host has one.
bool is_outside(const Process& process) {
  return process.status("NSpid").size() <= 1;
}

bool is_first(const Process& process) {
  const auto numbers = process.status("NSpid");
  return numbers.size() > 1 && numbers.back() == 1;
}

// None if it has ended.
std::optional<Process> find_process(pid_t pid) {
  try {
    return Process{pid};
  } catch (const sys::Error& error) {
    if (error.code().value() != ESRCH && error.code().value() != ENOENT) throw;
    return {};
  }
}

// The processes from 08-all to the command of its container.
std::optional<Process> next_below(const Process& process) {
  for (auto& child : process.children())
    if (!is_outside(process) || is_first(child)) return std::move(child);
  return {};
}

bool may_look_into(const Process& process) {
  try {
    return !process.name_space("user").empty();
  } catch (const sys::Error& error) {
    if (error.code().value() != EACCES) throw;
    return false;
  }
}

// The child of 08-all is PID 1. PID 1 forks once, behind the last wall, and its
// child is the command. If PID 1 has called execve(2), it is the command
// itself, as in 05 to 07. None if the command does not run yet.
std::optional<Process> find_member(pid_t pid) {
  auto found = find_process(pid);
  while (found && (is_outside(*found) ||
                   (is_first(*found) && !found->has_run_a_program())))
    found = next_below(*found);
  if (!found || found->has_run_a_program()) return found;
  // A subshell, for example, forks and runs no program.
  if (found->pid() == pid && may_look_into(*found)) return found;
  return {};
}

std::optional<pid_t> find_stopped(pid_t pid) {
  for (auto next = find_process(pid); next; next = next_below(*next))
    if (next->is_stopped()) return next->pid();
  return {};
}

// Whether the process starts a container, or might start one later. 08-all
// does, and a process that is stopped might.
bool may_start_one(const Process& process) {
  return !is_outside(process) || next_below(process) || process.is_stopped() ||
         process.is_ours();
}

void tell_of_waiting(pid_t pid) {
  auto text = sys::format(
      "wait until the container of process {} runs its command", pid);
  if (const auto stopped = find_stopped(pid))
    text +=
        sys::format("; hint: process {0} is stopped: kill -CONT {0}", *stopped);
  sys::note(text);
}

}  // namespace

Process wait_for_member(pid_t pid) {
  using std::chrono::steady_clock, std::chrono::seconds;
  const Process given{pid};
  const auto begin = steady_clock::now();
  auto last_hope = begin;
  bool is_narrated = false;
  bool is_told = false;
  for (;;) {
    auto member = find_member(pid);
    // While it lives, no other process has its PID.
    if (given.has_ended())
      throw sys::Error{
          ESRCH,
          sys::format("poll(2) process {}: wait for its container", pid)};
    if (member) return std::move(*member);
    if (!is_narrated)
      sys::narrate("poll(2) process {}: wait until its container is finished",
                   pid);
    is_narrated = true;
    const auto now = steady_clock::now();
    const bool is_hopeful = may_start_one(given);
    if (is_hopeful) last_hope = now;
    // We wait, because the shell forks and env(1) runs before 08-all.
    if (now - last_hope > seconds{2})
      throw std::runtime_error{sys::format(
          "process {} is in no container and runs none; hint: pgrep "
          "08-all prints those of 08-all",
          pid)};
    if (is_hopeful && !is_told && now - begin > seconds{1}) {
      tell_of_waiting(pid);
      is_told = true;
    }
    (void)given.has_ended(is_told ? 50 : 2);
  }
}

int foreign_namespaces(const Process& member) {
  struct Kind {
    const char* name;
    int flag;
    bool is_in_every_container;
  };
  int flags = 0;
  for (const auto& kind :
       {Kind{"user", CLONE_NEWUSER, true}, Kind{"pid", CLONE_NEWPID, true},
        Kind{"mnt", CLONE_NEWNS, true}, Kind{"uts", CLONE_NEWUTS, true},
        Kind{"net", CLONE_NEWNET, false}, Kind{"ipc", CLONE_NEWIPC, false},
        Kind{"cgroup", CLONE_NEWCGROUP, false}}) {
    std::array<char, 64> ours{};
    (void)::readlink(sys::format("/proc/self/ns/{}", kind.name).c_str(),
                     ours.data(), ours.size() - 1);
    if (member.name_space(kind.name) != ours.data())
      flags |= kind.flag;
    else if (kind.is_in_every_container)
      throw std::runtime_error{
          sys::format("process {} is in no container: its {} namespace is ours",
                      member.pid(), kind.name)};
  }
  return flags;
}

sys::Fd open_ptmx(const Process& member) {
  const sys::Fd root{::open(
      sys::format("/proc/self/fd/{}/root", member.directory().get()).c_str(),
      O_PATH | O_DIRECTORY | O_CLOEXEC)};
  open_how how{};
  how.flags = O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
  sys::Fd ptmx{static_cast<int>(
      ::syscall(SYS_openat2, root.get(), "dev/pts/ptmx", &how, sizeof how))};
  struct statfs kind {};
  unsigned number = 0;
  if (ptmx.get() == -1 || ::fstatfs(ptmx.get(), &kind) == -1 ||
      kind.f_type != DEVPTS_SUPER_MAGIC ||
      ::ioctl(ptmx.get(), TIOCGPTN, &number) == -1)
    ptmx.reset();
  return ptmx;
}
