// The standard streams of a container.

#pragma once

#include <sys/types.h>  // mode_t, off_t, ssize_t

#include <cstddef>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/owned.hpp"

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
class Streams {
 public:
  /// Parent: makes the pipes, one for standard output and standard error if
  /// these are the same, so that what is printed stays in order. Throws Error;
  /// and if a stream is a directory, which would be a way out.
  explicit Streams(const std::set<int>& replaced = {0, 1, 2});
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;
  virtual ~Streams() = default;

  /// Child: uses its ends of the pipes as 0, 1 and 2. Throws Error.
  virtual void enter() const;

  /// Parent: copies until there is a signal to read.
  void pass_on(const Fd& signals);

  /// Parent: copies what the child had printed when it ended, and leaves what
  /// it did not read. It waits for a slow reader, but not `in_a_hurry`, nor
  /// when a signal tells us to end.
  void finish(const Fd& signals, bool in_a_hurry);

  /// Throws Error if some of the output could not be written: a full disk, say.
  void throw_failure() const;

  /// Parent: is about to stop, or goes on after it was stopped.
  virtual void pause() {}

 protected:
  /// One way from or to a stream of the caller's. `ours` is closed when it is
  /// over; copies may share it.
  struct Copy {
    int stream;     // 0, 1 or 2.
    bool is_input;  // From the caller.
    mode_t kind;    // What it is, as S_IFREG.
    std::shared_ptr<Fd> ours;
    Fd anew{};            // The stream, opened once more so as not to wait.
    std::string bytes{};  // Read, and not yet written.
    off_t place = 0;      // Where the last read has left a file.
    std::size_t left = std::numeric_limits<std::size_t>::max();  // To be read.
    bool has_room = false;  // Input: what was written has been read.
    bool is_stopped = false;

    [[nodiscard]] bool is_over() const;
    [[nodiscard]] int callers() const;
    [[nodiscard]] int from() const;
    [[nodiscard]] int to() const;
  };

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
  enum class Event { kSignal, kBytes, kNothing };
  Event copy(const Fd& signals, int timeout);
  void read_some(Copy& copy);
  void write_some(Copy& copy);
  static ssize_t read_from(const Copy& copy, char* bytes, std::size_t size);
  void give_up(Copy& copy, int errnum);
  void stop_reading(Copy& copy);
  void end_reading(Copy& copy, ssize_t n);
  void end(Copy& copy);
  void leave(Copy& copy);
  void use_device(int stream, const char* path, int access);
  bool has_more_to_write();

  std::set<int> terminals_;
  std::map<int, std::shared_ptr<Fd>> its_;  // None: the caller's own.
  std::vector<Copy> copies_;
  std::optional<Error> failure_;
};

}  // namespace sys
