// Ownership: what is acquired here is given back at the end of its scope.

#pragma once

#include <fcntl.h>   // O_CLOEXEC
#include <unistd.h>  // close, pipe2

#include <array>
#include <concepts>
#include <utility>

#include "common/error.hpp"

namespace sys {

/// Owns a file descriptor, or none (-1). Moves, never copies.
class Fd {
 public:
  explicit Fd(int fd = -1) noexcept : fd_{fd} {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  Fd(Fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  Fd& operator=(Fd&& other) noexcept {
    reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Fd() { reset(); }

  /// The descriptor, still owned here.
  [[nodiscard]] int get() const noexcept { return fd_; }

  /// Owns it no longer, and returns it.
  int release() noexcept { return std::exchange(fd_, -1); }

  /// Closes what it owns, and owns `fd` instead.
  void reset(int fd = -1) noexcept {
    const int old = std::exchange(fd_, fd);
    if (old != -1) ::close(old);  // Never retried on EINTR: see close(2).
  }

 private:
  int fd_;
};

/// Both ends of a pipe(2), closed on exec. Throws Error.
struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) == -1) throw Error{errno, "pipe2(2)"};
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
  }
  Fd read_end;   ///< What is written to write_end comes out here.
  Fd write_end;  ///< When its last copy closes, read_end is at its end.
};

/// Runs `undo` at the end of the scope. Write it next to what it undoes. One
/// that throws is reported: nothing is left behind in silence.
///
///   const sys::Defer remove{[&] { ::rmdir(directory); }};
template <std::invocable Undo>
class [[nodiscard]] Defer {
 public:
  explicit Defer(Undo undo) : undo_{std::move(undo)} {}
  Defer(const Defer&) = delete;
  Defer& operator=(const Defer&) = delete;
  ~Defer() {
    try {
      undo_();
    } catch (const std::exception& error) {
      tell(error);
    }
  }

 private:
  Undo undo_;
};

}  // namespace sys
