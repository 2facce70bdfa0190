// The first process of a PID namespace has duties: orphans become its children
// and stay zombies until it reaps them, and a signal that it has no handler for
// does nothing, SIGTERM included. So the command runs as its child.

#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <string_view>

#include "common/process.hpp"
#include "steps/08-all/layers.hpp"

namespace {

// Reaps the children that have ended. If the command has ended, we end too, and
// then the kernel ends all processes of the namespace.
void reap(pid_t command) {
  int status = 0;
  for (;;) {
    const pid_t ended = ::waitpid(-1, &status, WNOHANG);
    if (ended == 0) return;
    if (ended == -1) ::_exit(sys::kOurFailure);
    if (WIFSTOPPED(status)) continue;  // Of one that asked to be traced by us.
    if (ended == command)
      ::_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                  : WEXITSTATUS(status));
  }
}

// What is stopped hears of it only when it goes on.
void pass_on(int number, pid_t command) {
  ::kill(command, number);
  if (number == SIGTERM || number == SIGHUP || number == SIGINT)
    ::kill(command, SIGCONT);
}

// A terminal's signals reach the command anyway; so do ^C and ^\\ from outside,
// which come to the whole group. And most signals from within the container
// mean init itself, SIGHUP for example to have it read its configuration again.
// This one has none.
bool is_not_for(pid_t command, const signalfd_siginfo& signal) {
  const auto number = static_cast<int>(signal.ssi_signo);
  const bool is_from_outside = signal.ssi_pid == 0;
  const bool is_key = number == SIGINT || number == SIGQUIT;
  if (signal.ssi_code == SI_KERNEL) return true;
  if (is_from_outside) return is_key && ::getpgid(command) == ::getpgrp();
  return !is_key && number != SIGTERM;
}

// Signals come through a descriptor and so stay blocked: that is how the
// program outside sees, in /proc, that there is a use for them.
[[noreturn]] void serve(pid_t command, int signals) {
  for (;;) {
    signalfd_siginfo signal{};
    if (::read(signals, &signal, sizeof signal) != sizeof signal) continue;
    const auto number = static_cast<int>(signal.ssi_signo);
    if (number == SIGCHLD)
      reap(command);
    else if (is_not_for(command, signal))
      continue;
    else if (number == SIGTSTP || number == SIGCONT)  // All but us.
      ::kill(-1, number == SIGCONT ? SIGCONT : SIGSTOP);
    else if (number == SIGTERM && sys::ignores(command, number))
      ::_exit(128 + number);  // An interactive shell; it ends with us.
    else
      pass_on(number, command);
  }
}

// A pipe that the command closes must be at its end, so keep none open.
void keep_only(const sys::Fd& kept) {
  const auto number = static_cast<unsigned>(kept.get());
  if (number > 0) (void)::syscall(SYS_close_range, 0, number - 1, 0);
  (void)::syscall(SYS_close_range, number + 1, ~0U, 0);
}

// /proc/1/cmdline would show the host's paths, and what --env holds.
void wipe(char** words) {
  constexpr std::string_view kName{"init"};
  const bool fits = std::strlen(words[0]) >= kName.size();
  for (char** word = words; *word != nullptr; ++word)
    std::memset(*word, 0, std::strlen(*word));
  if (fits) kName.copy(words[0], kName.size());
}

}  // namespace

void leave_init_behind(char** words) {
  // This process runs a program of the host's. Undumpable, it cannot be traced,
  // nor /proc/1/exe, fd, mem or environ be opened, whatever the capabilities.
  sys::check(::prctl(PR_SET_DUMPABLE, 0),
             "prctl(2) PR_SET_DUMPABLE 0: hide PID 1 from ptrace(2)");

  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const sys::Fd signals{
      sys::check(::signalfd(-1, &all, SFD_CLOEXEC), "signalfd(2)")};
  const pid_t command = ::fork();
  if (command == -1) throw sys::Error{errno, "fork(2) the command from PID 1"};
  if (command == 0) {
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    return;
  }
  (void)::prctl(PR_SET_NAME, "init");
  wipe(words);
  keep_only(signals);
  serve(command, signals.get());
}
