// Processes: a child made with clone3(2), its failures, its end.

#pragma once

#include <sys/types.h>  // pid_t
#include <unistd.h>     // read, write

#include <cstdint>
#include <functional>
#include <type_traits>

#include "common/fd.hpp"
#include "common/signals.hpp"

namespace sys {

/// What a parent does until its child has ended. This one only waits for
/// signals; sys::Streams also copies what the child prints.
class Meanwhile {
 public:
  Meanwhile() = default;
  Meanwhile(const Meanwhile&) = delete;
  Meanwhile& operator=(const Meanwhile&) = delete;
  virtual ~Meanwhile() = default;
  /// Returns when there is a signal to read.
  virtual void until_signal(const Fd& signals);
  /// The child has ended. If `in_a_hurry`, the parent was told to end, too.
  virtual void finish(const Fd& /*signals*/, bool /*in_a_hurry*/) {}
  /// Throws Error if some of the work failed.
  virtual void throw_failure() const {}
  /// The parent is about to stop, or goes on after it was stopped.
  virtual void pause() {}
};

/// A child made by sys::clone. Left behind un-waited, it is killed and reaped;
/// if an error of ours does that, and the child had failed before, report tells
/// of the child.
class Child {
 public:
  /// `failure` is the read end of the pipe on which the child reports one, and
  /// `flags` are those it was made with.
  Child(pid_t pid, Fd failure, std::uint64_t flags) noexcept;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  /// Its PID, in the caller's PID namespace.
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// Waits for the end, and returns the exit status, or 128+N for death by
  /// signal N, as a shell would. Throws Error if the child failed before its
  /// exec. While it waits, a signal that Signals held back goes on to the
  /// child if it has a use for it, and ends it if not: see signal(7).
  int wait();
  /// The same, and does something meanwhile.
  int wait(Meanwhile& meanwhile);

  /// Waits until the child executes or closes its failure_descriptor, and
  /// leaves it alone from then on. Throws Error if the child failed before.
  void let_go();

 private:
  void pass_on(int number, int code, Meanwhile& meanwhile);
  void throw_its_failure() const;
  void remember_its_failure(int status) const;

  pid_t pid_;
  Fd failure_;  // Has something to read if the child failed.
  std::uint64_t flags_;
  int ended_by_ = 0;     // The signal for which we ended it.
  int told_to_end_ = 0;  // How often a signal came that commonly ends.
  bool running_ = true;
};

/// Runs `body` in a child made with clone3(2) and `flags`, CLONE_NEWPID say; 0
/// makes a plain fork(2). The child has a copy of our memory, ends when `body`
/// does, and is killed when we die. Throws Error: see clone(2).
Child clone(std::uint64_t flags, const std::function<void()>& body);

/// The same, and if `cgroup` holds a cgroup v2 directory, the child starts in
/// it, with CLONE_INTO_CGROUP: not one instruction runs outside.
Child clone(std::uint64_t flags, const Fd& cgroup,
            const std::function<void()>& body);

/// Throws Error where /proc shows another PID namespace than ours: a number in
/// there is another process, or none. See proc(5).
void check_proc();

/// Child: has the kernel kill us when our parent dies, as clone does at first;
/// a change of ids clears that. Ends us if the parent is dead already. Throws
/// Error: see prctl(2), PR_SET_PDEATHSIG.
void die_with_parent();

/// Child: the descriptor by which a failure travels to the parent. An exec
/// closes it.
int failure_descriptor() noexcept;

/// Throws the Error for an execvp(3) that came back, with status 126 or 127.
/// `path` is where it looked, by default the PATH of our environment.
[[noreturn]] void exec_failed(const char* command, const char* path = nullptr);

/// Where a child waits for its parent's word, a plain value. Make it before the
/// clone; the parent opens it, the child waits at it.
template <typename Word = char>
requires std::is_trivially_copyable_v<Word>
class Gate {
 public:
  /// Parent: lets the child go on. Throws Error.
  void open(const Word& word = {}) {
    check(::write(pipe_.write_end.get(), &word, sizeof word),
          "write(2) to the pipe: open the gate");
  }

  /// Child: waits for the word. Ends the child if the parent is gone.
  Word wait() {
    pipe_.write_end.reset();  // Ours: with the parent's gone, read says so.
    Word word{};
    const auto n = ::read(pipe_.read_end.get(), &word, sizeof word);
    if (n == -1) throw Error{errno, "read(2) from the pipe: wait at the gate"};
    if (n != sizeof word) ::_exit(kOurFailure);
    return word;
  }

 private:
  Pipe pipe_;
};

}  // namespace sys
