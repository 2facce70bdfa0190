// A process of a finished container, which build/enter joins.

#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/fd.hpp"

/// A process, by its PID. When a process has ended, the kernel can give its PID
/// to a new process. So this keeps a pidfd_open(2) of the process and its
/// directory in /proc, and all that is read there is about this process.
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

  /// Its namespace of a kind, for example "user": see namespaces(7). "" if the
  /// kernel has no such kind. Throws Error, with EACCES if we have no right to
  /// look.
  [[nodiscard]] std::string name_space(const std::string& kind) const;

  /// The numbers after "FIELD:" in its status, which are written in this base.
  [[nodiscard]] std::vector<long> status(const std::string& field,
                                         int base = 10) const;

  /// Its children, in the order of their start.
  [[nodiscard]] std::vector<Process> children() const;

  /// Whether it has called execve(2) since the fork(2) that made it.
  [[nodiscard]] bool has_run_a_program() const;

  /// Whether a signal or a tracer has stopped it.
  [[nodiscard]] bool is_stopped() const;
  /// Whether it runs the program 08-all in our directory. False if we have no
  /// right to look.
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

/// Waits until a container is finished, and returns a process of it that we can
/// join. The process `pid` is in this container, or is the 08-all that makes
/// it. While its mounts are made, a container still has the host's tree, and no
/// wall. It is finished when its command runs. After a second, prints what it
/// waits for. Throws if there is no container, or if the process ends before.
Process wait_for_member(pid_t pid);

/// The CLONE_NEW* of the namespaces of `member` that are not ours. Throws if we
/// are in one of the namespaces that every container has from step 05 on.
int foreign_namespaces(const Process& member);

/// A descriptor of the device that makes terminals in the container of
/// `member`; none if the container has no such device. It follows no link of
/// the container.
sys::Fd open_ptmx(const Process& member);
