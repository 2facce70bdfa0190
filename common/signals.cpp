#include "common/signals.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "common/file.hpp"

namespace sys {

sigset_t held_signals() {
  sigset_t set;
  ::sigfillset(&set);
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) == 0 &&
        action.sa_handler == SIG_IGN)
      ::sigdelset(&set, signal);
  }
  return set;
}

sigset_t callers_mask() {
  sigset_t mask;
  ::sigprocmask(SIG_SETMASK, nullptr, &mask);
  return mask;
}

namespace {

sigset_t mask_before = callers_mask();

const Fd* living_proc = nullptr;

// Whether the foreground group of the terminal has died.
bool terminal_is_lost() {
  const pid_t group = ::tcgetpgrp(STDIN_FILENO);
  return group == 0 || (group > 0 && ::kill(-group, 0) == -1 && errno == ESRCH);
}

}  // namespace

const sigset_t& mask_for_children() noexcept {
  return mask_before;
}

const Fd* callers_proc() noexcept {
  return living_proc;
}

Fd open_proc() {
  return Fd{::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC)};
}

std::string file_of(const Fd& proc, pid_t pid, const char* name) {
  const auto path = sys::format("{}/{}", pid, name);
  const Fd file{::openat(proc.get(), path.c_str(), O_RDONLY | O_CLOEXEC)};
  try {
    return read_all(file, path);
  } catch (const Error&) {
    return {};
  }
}

bool in_mask(std::string_view status, std::string_view name, int signal) {
  const auto at = status.find(name);
  if (at == std::string_view::npos) return false;
  const std::string digits{status.substr(at + name.size(), 17)};
  const auto mask = std::strtoull(digits.c_str(), nullptr, 16);
  return ((mask >> (signal - 1)) & 1U) != 0;
}

bool ignores(pid_t pid, int signal) {
  return in_mask(file_of(open_proc(), pid, "status"), "SigIgn:", signal);
}

Signals::Signals()
    : proc_{open_proc()},
      in_foreground_{::tcgetpgrp(STDIN_FILENO) == ::getpgrp()} {
  living_proc = &proc_;
  std::signal(SIGCHLD,
              SIG_DFL);  // Ignored, it would leave nothing to wait for.
  const auto held = held_signals();
  ::sigprocmask(SIG_BLOCK, &held, &before_);
  mask_before = before_;
}

Signals::~Signals() {
  living_proc = nullptr;
  // If it is not lost, a shell has put us into the background and holds it.
  if (in_foreground_ && terminal_is_lost())
    ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace sys
