// Signals: those that wait until we deal with them, and what another process
// does with one.

#pragma once

#include <sys/types.h>  // pid_t

#include <csignal>
#include <string>
#include <string_view>

#include "common/fd.hpp"

namespace sys {

/// Blocks signals as long as it lives, so that no signal ends us between an
/// acquire and its undo. The signals wait until Child::wait reads them. A
/// signal that the caller ignores, as nohup(1) does with SIGHUP, stays ignored.
/// The destructor makes us the foreground group of the terminal again if we
/// were it before and no other group is it now. An interactive shell makes
/// itself the foreground group, and can be killed as that: see tcsetpgrp(3).
class Signals {
 public:
  Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

 private:
  sigset_t before_{};
  Fd proc_;
  bool in_foreground_;
};

/// Whether a process ignores a signal, as interactive shells do SIGTERM: see
/// proc(5), SigIgn in /proc/PID/status. False if it cannot be told.
bool ignores(pid_t pid, int signal);

// ---- What Child::wait needs of them ----------------------------------------

/// What Signals holds back, and Child::wait deals with. A fault of ours kills
/// all the same. What is ignored is not held back: blocked, it would wait to be
/// heard all the same.
sigset_t held_signals();

/// The signals that this process blocks now.
sigset_t callers_mask();

/// The mask that a child gets back, and with it the command: the caller's.
const sigset_t& mask_for_children() noexcept;

/// A descriptor of /proc, or none.
Fd open_proc();

/// The /proc of a Signals that lives, or nullptr. build/enter leaves the host's
/// behind.
const Fd* callers_proc() noexcept;

/// The file /proc/PID/`name`, or "" if it cannot be read.
std::string file_of(const Fd& proc, pid_t pid, const char* name);

/// Whether bit `signal` is set in the line of /proc/PID/status that `name`
/// begins: see proc_pid_status(5).
bool in_mask(std::string_view status, std::string_view name, int signal);

}  // namespace sys
