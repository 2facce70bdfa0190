// Errors and narration: how every step says what it did and what failed.
//
// common/ holds plumbing and no policy. A helper can hide how an error travels
// and where a descriptor is closed. It must not hide a flag, a path, or the
// order of two system calls, because these are the lessons.

#pragma once

#include <cerrno>
#include <concepts>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "common/text.hpp"

namespace sys {

/// What our own failures exit with, as env(1), timeout(1) and `docker run` do.
inline constexpr int kOurFailure = 125;
/// The command was found and could not be run.
inline constexpr int kNotExecutable = 126;
/// The command was not found.
inline constexpr int kNotFound = 127;

/// A call that failed, as data. The message and the hint are made from it.
struct Attempt {
  /// The call with its man section, and what it was given or what it was for:
  /// "mount(2) proc on /proc".
  std::string text;
  /// What the call left in errno(3).
  int errnum = 0;
  /// The flags of the clone3(2) that made the process in which it failed, or
  /// 0. They tell in whose namespaces it failed.
  std::uint64_t flags = 0;
  /// The cgroup that refused, or "".
  std::string directory = {};
  /// If a cgroup was looked for: the controllers that it has to have.
  std::vector<std::string> controllers = {};

  /// The call: "mount(2)", or "" if the text begins with no call.
  [[nodiscard]] std::string_view call() const noexcept;
  /// The text behind the call: "proc on /proc".
  [[nodiscard]] std::string_view subject() const noexcept;
};

/// A failed system call.
class Error : public std::system_error {
 public:
  /// `text` is as in Attempt, `hint` is one sentence or empty, `status` is what
  /// the program should exit with.
  Error(int errnum, const std::string& text, std::string hint = {},
        int status = kOurFailure);
  /// The same for all that is known of the call.
  explicit Error(Attempt attempt, std::string hint = {},
                 int status = kOurFailure);

  /// The call that failed.
  [[nodiscard]] const Attempt& attempt() const noexcept { return attempt_; }
  /// What would mend it, if the code that failed knows. hint_of in
  /// common/diagnosis/causes.hpp also asks the host.
  [[nodiscard]] const std::string& hint() const noexcept { return hint_; }
  /// The exit status it deserves.
  [[nodiscard]] int status() const noexcept { return status_; }

 private:
  Attempt attempt_;
  std::string hint_;
  int status_;
};

/// Throws Error{errnum, <formatted text>}.
[[noreturn]] void fail(int errnum, fmt::string_view text,
                       fmt::format_args args);

/// Prints one line about `error` on stderr: the program, the call, the errno in
/// words and by name, and the hint. Returns the exit status.
int tell(const std::exception& error) noexcept;

/// The same for the error that ends the program. If a child failed first, that
/// error is told instead: `error` is only what came of it.
int report(const std::exception& error) noexcept;

/// What failed first, in a child that our own failure has ended: see Child.
inline std::exception_ptr first_error;

/// The name of an errno, as in "EPERM": see errno(3).
std::string errno_name(int errnum);

/// The same where the C library knows none: of the errnos that system calls of
/// ours return; "errno 123" for any other.
std::string common_errno_name(int errnum);

// ---- Narration -------------------------------------------------------------

/// Whether narrate and check speak: the option -v.
inline bool verbose = false;

/// Prints "[pid N] text" on stderr in a single write(2), whatever `verbose`
/// says. N comes fresh from getpid(2), so the prefix itself shows which side of
/// a PID namespace is talking.
void vnarrate(fmt::string_view text, fmt::format_args args);

/// Tells, under -v, what has just been done.
template <typename... Args>
void narrate(fmt::format_string<Args...> text, const Args&... args) {
  if (verbose) vnarrate(text, fmt::make_format_args(args...));
}

/// Prints a line on stderr in a single write(2), as a terminal may have it.
void print_line(const std::string& text) noexcept;

/// Prints "PROGRAM: text" on stderr: what the user must know even without -v.
void note(const std::string& text);

/// The same for what a container does without: "PROGRAM: no memory limit: why".
void lack(const std::string& what, const std::string& why);

/// Whether messages are JSON, one object a line, for scripts/doctor: the
/// environment says BOX_MESSAGES=json.
bool speaks_json() noexcept;

/// A string of JSON, with its quotes.
std::string json_string(std::string_view text);

/// Passes on the result of a system call and narrates it, or throws Error if
/// it is -1. The text begins with the call, because the hint is found by it.
///
///   sys::check(::chdir(path), "chdir(2) to {}", path);
template <std::signed_integral Result, typename... Args>
Result check(Result result, fmt::format_string<Args...> text,
             const Args&... args) {
  if (result == -1) fail(errno, text, fmt::make_format_args(args...));
  if (verbose) vnarrate(text, fmt::make_format_args(args...));
  return result;
}

}  // namespace sys
