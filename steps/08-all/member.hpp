// A process of a container that is finished: what build/enter joins.

#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/fd.hpp"

/// A process, by its PID. The kernel gives the PID of a process that has ended
/// to a new one, so this holds on to the process itself, by a pidfd_open(2) and
/// by its directory in /proc: what is read there is about this process.
class Process {
 public:
  /// Throws Error if there is no such process.
  explicit Process(pid_t pid);

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Its directory in /proc.
  [[nodiscard]] const sys::Fd& directory() const { return directory_; }
  /// Its pidfd.
  [[nodiscard]] const sys::Fd& descriptor() const { return descriptor_; }

  /// Whether it has ended, or ends within so many milliseconds.
  [[nodiscard]] bool has_ended(int milliseconds = 0) const;

  /// A file of its directory in /proc; "" if it has ended. Throws Error.
  [[nodiscard]] std::string read(const std::string& file) const;

  /// Which namespace of a kind it is in, "user" say: see namespaces(7). "" if
  /// the kernel has no such kind. Throws Error, with EACCES if we may not look.
  [[nodiscard]] std::string name_space(const std::string& kind) const;

  /// What stands behind "FIELD:" in its status: numbers to this base.
  [[nodiscard]] std::vector<long> status(const std::string& field,
                                         int base = 10) const;

  /// Its children, in the order in which it got them.
  [[nodiscard]] std::vector<Process> children() const;

  /// Whether it has called execve(2) since the fork(2) that made it.
  [[nodiscard]] bool has_run_a_program() const;

  /// Whether a signal or a tracer has stopped it.
  [[nodiscard]] bool is_stopped() const;
  /// Whether it runs the program 08-all that lies beside ours. False if we may
  /// not look.
  [[nodiscard]] bool is_ours() const;

 private:
  struct Stat {
    char state;
    pid_t parent;
    unsigned flags;
  };
  [[nodiscard]] Stat stat() const;
  [[nodiscard]] std::string path(const std::string& file) const;

  pid_t pid_;
  sys::Fd descriptor_;
  sys::Fd directory_;
};

/// Waits until the container is finished that process `pid` is in, or that it
/// runs as 08-all does, and returns a process of it that can be joined. While
/// its mounts are made, a container has the host's tree, and no wall yet. It is
/// finished when its command runs. After a second it says what it waits for.
/// Throws if there is no container, or if the process ends before.
Process wait_for_member(pid_t pid);

/// The CLONE_NEW* of those namespaces of `member` that are not ours. Throws if
/// one of those is ours that every container has from step 05 on.
int foreign_namespaces(const Process& member);

/// The device that makes terminals in the container of `member`, opened; none
/// if the container has none. It is opened by no link of the container's.
sys::Fd open_ptmx(const Process& member);
