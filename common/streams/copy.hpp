// The bytes that go from or to a standard stream.

#pragma once

#include <poll.h>
#include <sys/stat.h>
#include <sys/types.h>  // mode_t, off_t, ssize_t

#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/fd.hpp"

namespace sys {

/// What people call a standard stream: "standard input", ...
const char* name_of(int stream);

/// What fstat(2) says of a standard stream. Throws Error.
struct stat look_at(int stream);

/// Whether it is a terminal, and not the end that a terminal emulator has: for
/// isatty(3) both are.
bool is_a_terminal(int fd);

/// Whether both descriptors lead to the same terminal.
bool are_one_terminal(int one, int other);

/// One way from or to one of the caller's standard streams. It holds what was
/// read and is not yet written. It never waits itself: its user calls poll(2)
/// with the ends that add_to() adds, and then go_on().
class Copy {
 public:
  /// From `stream` to `ours` if it is standard input and `is_input`, or else
  /// from `ours` to `stream`. `ours` is closed when it is over; copies may
  /// share it. Throws Error.
  Copy(int stream, bool is_input, std::shared_ptr<Fd> ours);

  /// Adds two ends to wait for. What is to be read counts only if it
  /// `may_read`.
  void add_to(std::vector<pollfd>& ends, bool may_read) const;
  /// Reads or writes some, after poll(2) has looked at the two ends.
  void go_on(const pollfd& from, const pollfd& to);

  /// The descriptors that it uses.
  [[nodiscard]] std::set<int> descriptors() const;
  /// Those of them that no other part of the program needs.
  [[nodiscard]] std::set<int> own_descriptors() const;
  /// Forgets its own without closing them, because they were closed together
  /// with the table of descriptors of a thread.
  void forget_descriptors();

  /// Nothing more will be copied.
  [[nodiscard]] bool is_over() const;
  [[nodiscard]] bool is_input() const { return is_input_; }

  /// The command has ended. Input: leaves what it did not read. Output: reads
  /// what is there, and no more, because one that stays behind may print for
  /// ever.
  void come_to_the_end();
  /// After come_to_the_end(): reads if it can, and says whether something is to
  /// be written.
  bool has_more_to_write();

  /// Throws Error if some of the output could not be written: a full disk, say.
  void throw_failure() const;

 private:
  [[nodiscard]] int callers() const;
  [[nodiscard]] int from() const;
  [[nodiscard]] int to() const;
  [[nodiscard]] bool writes() const;
  ssize_t read_from(char* bytes, std::size_t size);
  void read_some();
  void write_some();
  void give_up(int errnum);
  void end_reading(ssize_t n);
  void stop_reading();
  void end();
  void leave();

  int stream_;     // 0, 1 or 2.
  bool is_input_;  // From the caller.
  bool is_terminal_;
  mode_t kind_;  // What the stream is, as S_IFREG.
  std::shared_ptr<Fd> ours_;
  Fd anew_{};               // The stream, opened once more so as not to wait.
  std::string bytes_{};     // Read, and not yet written.
  std::string chunk_{};     // What is read into: a stack can be small.
  off_t first_place_ = -1;  // Where the first read of a file began,
  off_t place_ = 0;         // and where the last one has left it.
  bool can_splice_ = true;
  std::size_t left_ = std::numeric_limits<std::size_t>::max();  // To be read.
  bool has_room_ = false;  // Input: what was written has been read.
  bool is_stopped_ = false;
  std::optional<Error> failure_{};
};

}  // namespace sys
