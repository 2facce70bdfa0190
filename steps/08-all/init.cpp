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

#include "steps/08-all/layers.hpp"

namespace {

// Reaps whoever has ended. If the command has, this is the end: with PID 1 the
// kernel ends the whole namespace.
void reap(pid_t command) {
  int status = 0;
  for (;;) {
    const pid_t ended = ::waitpid(-1, &status, WNOHANG);
    if (ended <= 0) return;
    if (ended == command)
      ::_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                  : WEXITSTATUS(status));
  }
}

// Signals come through a descriptor and so stay blocked: that is how the
// program outside sees, in /proc, that there is a use for them.
[[noreturn]] void serve(pid_t command, const sigset_t& all) {
  const int signals = ::signalfd(-1, &all, SFD_CLOEXEC);
  for (;;) {
    signalfd_siginfo signal{};
    if (::read(signals, &signal, sizeof signal) != sizeof signal)
      ::_exit(sys::kOurFailure);
    if (signal.ssi_signo == SIGCHLD)
      reap(command);
    else if (signal.ssi_code != SI_KERNEL)  // A terminal's reach it anyway.
      ::kill(command, static_cast<int>(signal.ssi_signo));
  }
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
  sys::check(::prctl(PR_SET_DUMPABLE, 0), "make PID 1 opaque");

  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const pid_t command = ::fork();
  if (command == -1) throw sys::Error{errno, "fork the command from PID 1"};
  if (command == 0) {
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    return;
  }
  (void)::prctl(PR_SET_NAME, "init");
  wipe(words);
  // A pipe that the command closes must be at its end.
  (void)::syscall(SYS_close_range, 0, ~0U, 0);
  serve(command, all);
}
