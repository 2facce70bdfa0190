// A session and a terminal of the container's own: see pty(7).

#pragma once

#include <sys/types.h>
#include <termios.h>

#include <string>

#include "common/owned.hpp"

/// A pseudo-terminal for the container, in the place of those standard streams
/// that are a terminal, if any. In the background it gets no keys.
class Terminal {
 public:
  /// Parent: makes it, as large as the caller's and with its modes, for a user
  /// and group of the container's. Throws Error; and if a standard stream is a
  /// directory, which would be a way out.
  explicit Terminal(uid_t user = 0, gid_t group = 0);
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  /// Shows what was printed last, and gives the caller's terminal its modes
  /// back.
  ~Terminal();

  /// Child: starts a session, with this for its terminal. Throws Error.
  void enter() const;

  /// Child: shows it as /dev/console, in the working directory.
  void mount() const;

  /// Parent: leaves the child's end to the child.
  void start();

  /// Parent: passes on keys and output until there is a signal to read.
  void pass_on(const sys::Fd& signals);

 private:
  void make_raw();
  void copy_size() const;
  void read_keys();
  void show();

  sys::Fd ours_, its_, screen_;  // The pseudo-terminal's ends; the caller's.
  termios before_{};
  bool has_keys_ = false;
  bool is_raw_ = false;
  bool is_in_a_hurry_ = false;  // We were told to end.
  bool is_open_ = true;         // Somebody inside has it open.
  std::string keys_;            // Typed, and not yet read inside.
  std::string printed_;         // Printed inside, and not yet shown.
};
