// The standard streams of a container.

#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "common/fd.hpp"
#include "common/process.hpp"
#include "common/streams/copy.hpp"

namespace sys {

/// Pipes in the place of the caller's standard streams; the parent copies what
/// goes through them. A descriptor is more than a way to read or to write. Its
/// holder can change the file's mode, and can open the file once more, for
/// writing too, by its name in /proc/self/fd. And the holders of a pipe share
/// its flags, O_NONBLOCK for example. So the container gets none of the
/// caller's: no file, FIFO, device, socket or pipe. There are two exceptions.
/// A terminal stays the caller's (step 08 replaces it). And /dev/null and its
/// like, which every container has, are opened anew.
///
/// What the command has not read of a file is left there, as long as nothing
/// else reads there meanwhile: a shell's `while read` goes on behind the
/// command. From a pipe, a socket or a device up to a page more is read, as
/// with ssh(1), and lost at the end. So in a loop over a pipe give the command
/// </dev/null.
class Streams : public Meanwhile {
 public:
  /// Parent: makes the pipes, and starts the threads that will copy, so that
  /// what fails, fails before the command runs. One pipe for standard output
  /// and standard error if these are the same, so that what is printed stays in
  /// order. Throws Error; and if a stream is a directory, which would be a way
  /// out.
  Streams();
  /// The same for some of the streams, without starting the threads.
  explicit Streams(const std::set<int>& replaced);
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;
  ~Streams() override = default;

  /// Child: uses its ends of the pipes as 0, 1 and 2. Throws Error.
  virtual void enter() const;

  /// Parent: starts the threads that will copy, if they have not started yet. A
  /// process that has joined a PID namespace by setns(2) cannot start one: see
  /// clone(2), CLONE_THREAD. Throws Error.
  void start_threads();
  /// The same, but a process for each thread does the copying. Such a process
  /// can be held up by the container, and ours can end nevertheless.
  void start_processes();

  /// Parent: copies until there is a signal to read.
  void until_signal(const Fd& signals) override;

  /// Parent: copies what the child had printed when it ended, and leaves what
  /// it did not read. It waits for a slow reader, but not `in_a_hurry`, nor
  /// when a signal tells us to end.
  void finish(const Fd& signals, bool in_a_hurry) override;

  /// Throws Error if some of the output could not be written: a full disk, say.
  void throw_failure() const override;

 protected:
  /// Whether what is written to both comes to the same place, in order.
  static bool are_one(int stream, int other);
  /// Whether `stream` was a terminal at the start.
  [[nodiscard]] bool is_terminal(int stream) const;
  /// Copies between `stream` and a new pipe.
  void use_pipe(int stream);
  /// The child has `its` as `stream`.
  void use(int stream, std::shared_ptr<Fd> its);
  /// Copies from `stream` to `ours`, or else from `ours` to `stream`.
  void pass(int stream, bool is_input, std::shared_ptr<Fd> ours);

  /// Called before the parent waits for bytes or a signal, and not for each.
  virtual void prepare() {}
  /// Whether what waits at standard input is for us to read. Asked each time.
  virtual bool may_read() { return true; }

 private:
  struct Counters;
  struct Carrier;  // Copies in a thread of its own.
  enum class Event { kSignal, kBytes, kNothing };
  void use_device(int stream, const char* path, int access);
  void start(void (Carrier::*run)());
  void begin();
  Event copy(const Fd& signals, int timeout);
  bool has_more_to_write();
  void tell_carriers() const;

  std::set<int> terminals_;
  std::map<int, std::shared_ptr<Fd>> its_;          // None: the caller's own.
  std::vector<Copy> copies_;                        // Between terminals.
  std::vector<std::shared_ptr<Carrier>> carriers_;  // From and to pipes.
  std::shared_ptr<Counters> counters_;  // What they tell: see eventfd(2).
  bool has_started_ = false;
  bool has_begun_ = false;
};

}  // namespace sys
