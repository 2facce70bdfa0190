// A session and a terminal of the container's own: see pty(7).

#pragma once

#include <sys/types.h>
#include <termios.h>

#include <memory>

#include "common/fd.hpp"
#include "common/streams/streams.hpp"

/// Standard streams. A stream that is a terminal is replaced by a
/// pseudo-terminal of the container. It gets all keys as soon as we are in the
/// foreground. A pager that reads from the same terminal gets some of the keys.
class Terminal : public sys::Streams {
 public:
  /// Parent: makes the pseudo-terminal, with the size and modes of the caller's
  /// terminal, for a user and group of the container. If `is_new` is false,
  /// terminal and session stay the caller's, as up to step 07. Throws Error.
  /// `ptmx` is the device that makes it: by default the host's. A terminal that
  /// the container's device makes has a name in the container.
  /// build/enter starts the threads later, because setns(2) lets only a process
  /// without threads into a user namespace.
  explicit Terminal(uid_t user = 0, gid_t group = 0, bool is_new = true,
                    sys::Fd ptmx = sys::Fd{}, bool starts_threads = true);
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  /// Gives the caller's terminal its modes back.
  ~Terminal() override;

  /// Child: starts a session, with this for its terminal. Throws Error.
  void enter() const override;

  /// Child: shows it as /dev/console, in the working directory.
  void mount() const;

  /// Parent: gives the modes back, until it passes on again.
  void pause() override;

 private:
  void prepare() override;
  bool may_read() override;
  void make(uid_t user, gid_t group, sys::Fd ptmx);
  void make_raw();
  void copy_size() const;

  bool is_new_;
  std::shared_ptr<sys::Fd> ours_, its_;  // The pseudo-terminal's ends.
  int shown_ = -1;                       // The stream on whose screen it is.
  termios found_{};                      // The modes of the caller's terminal,
  termios set_{};                        // and ours, while is_raw_.
  bool is_all_raw_ = false;              // The output flags as well.
  bool is_raw_ = false;
};
