// What the tests beside this file share: a place to write, an ear on a
// descriptor, and namespaces that go when the test does.

#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <concepts>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "common/fd.hpp"
#include "common/file.hpp"
#include "common/mount.hpp"

namespace testing {

/// A new directory, removed at the end with all that is in it.
class Directory {
 public:
  Directory() {
    if (::mkdtemp(path_.data()) == nullptr)
      throw sys::Error{errno, "mkdir(2) " + path_};
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() {
    std::error_code unheard;
    std::filesystem::remove_all(path_, unheard);
  }

  [[nodiscard]] const std::string& path() const { return path_; }

  /// The path of `name` in it.
  std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }

  /// Makes a file in it, with the directories on the way, and returns its path.
  // NOLINTNEXTLINE(modernize-use-nodiscard): not always wanted.
  std::string make_file(const std::string& name,
                        const std::string& text = {}) const {
    const std::filesystem::path path{*this / name};
    std::filesystem::create_directories(path.parent_path());
    std::ofstream{path} << text;
    return path;
  }

 private:
  std::string path_ = std::filesystem::temp_directory_path() / "box-XXXXXX";
};

/// The n-th of what a program printed, say, or of what was found. Where there
/// are fewer, the test fails with what there is, and the others go on.
template <typename List>
auto nth(const List& all, std::size_t n) {
  if (n < all.size()) return *std::next(all.begin(), static_cast<long>(n));
  std::string what;
  if constexpr (std::is_convertible_v<decltype(*all.begin()), std::string>)
    for (const auto& one : all) what += (what.empty() ? ": " : ", ") + one;
  throw std::out_of_range{"there are only " + std::to_string(all.size()) +
                          what};
}

template <typename List>
auto first(const List& all) {
  return nth(all, 0);
}

template <typename List>
auto last(const List& all) {
  return nth(all, all.empty() ? 0 : all.size() - 1);
}

/// The number that a text begins with.
inline long number(const std::string& text) {
  char* end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 10);
  if (end == text.c_str()) throw std::invalid_argument{"no number: " + text};
  return value;
}

/// What follows the first n bytes of a text.
inline std::string behind(const std::string& text, std::size_t n) {
  if (n > text.size()) throw std::out_of_range{"too short: " + text};
  return text.substr(n);
}

/// How much of what takes long is tried: TEST_SHARE=1 for all of it, or 10, as
/// by default, for a tenth; and which, by a seed that is printed with what
/// fails and that TEST_SEED gives back.
struct Share {
  unsigned long one_in = from_environment("TEST_SHARE", 10);
  unsigned long seed = from_environment("TEST_SEED", std::random_device{}());

  /// Whether the n-th is tried.
  [[nodiscard]] bool has(unsigned long n) const {
    return (n + seed) % one_in == 0;
  }
  [[nodiscard]] std::string words() const {
    return "TEST_SHARE=" + std::to_string(one_in) +
           " TEST_SEED=" + std::to_string(seed);
  }

 private:
  static unsigned long from_environment(const char* name, unsigned long other) {
    const char* const text = std::getenv(name);
    return text == nullptr ? other
                           : std::max(1UL, std::strtoul(text, nullptr, 10));
  }
};

/// The Error that `body` throws.
template <std::invocable Body>
sys::Error error_of(const Body& body) {
  try {
    body();
  } catch (const sys::Error& error) {
    return error;
  }
  throw std::logic_error{"there is no Error"};
}

/// What `body` writes to `descriptor`: no more than a pipe holds, 64 KiB.
template <std::invocable Body>
std::string written_to(int descriptor, const Body& body) {
  sys::Pipe pipe;
  {
    const sys::Fd before{sys::check(::fcntl(descriptor, F_DUPFD_CLOEXEC, 3),
                                    "copy descriptor {}", descriptor)};
    const sys::Defer restore{[&] {
      sys::check(::dup2(before.get(), descriptor), "restore a descriptor");
    }};
    sys::check(::dup2(pipe.write_end.get(), descriptor), "put a pipe there");
    pipe.write_end.reset();
    body();
  }
  return sys::read_file(sys::format("/proc/self/fd/{}", pipe.read_end.get()));
}

/// Runs `body` in a thread with namespaces of its own, CLONE_NEWNET say, which
/// end with it. Not in a child, where doctest could not count a failed CHECK.
/// Beware of /proc/self there: it is the main thread's.
template <std::invocable Body>
void in_namespaces(int flags, const Body& body) {
  std::async(std::launch::async, [&] {
    sys::check(::unshare(flags), "make namespaces for a test");
    if ((flags & CLONE_NEWNS) != 0)  // A copy of shared mounts shares them too.
      sys::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    body();
  }).get();
}

/// Runs `body` where mounts are its own, with a tmpfs to work on: what stands
/// on the host's disk may be mounted in ways of its own.
template <std::invocable<const Directory&> Body>
void in_private_mounts(const Body& body) {
  const Directory directory;
  in_namespaces(CLONE_NEWNS, [&] {
    sys::mount("tmpfs", directory.path(), "tmpfs", 0, "mode=755");
    body(directory);
  });
}

/// The flags of the mount on which a path lies: see statvfs(3).
inline unsigned long flags_of(const std::string& path) {
  struct statvfs status {};
  sys::check(::statvfs(path.c_str(), &status), "look at {}", path);
  return status.f_flag;
}

/// Whether we may write there: see access(2).
inline bool may_write(const std::string& path) {
  return ::access(path.c_str(), W_OK) == 0;
}

/// Whether the writers of a pipe have all gone. Waits until they have; a test
/// that fails should not wait for ever, so at most ten seconds.
inline bool is_at_end(const sys::Fd& read_end) {
  pollfd pipe{.fd = read_end.get(), .events = POLLIN, .revents = 0};
  char byte = 0;
  return ::poll(&pipe, 1, 10'000) == 1 &&
         ::read(read_end.get(), &byte, sizeof byte) == 0;
}

}  // namespace testing
