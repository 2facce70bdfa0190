// The probes attack. The caller chooses an attack by its name. The attack
// prints one line, which says what it did and what the kernel answered. Then it
// waits, so that the host can look at the result.
//
//   usage   probe-NN-name ATTACK [ARG]
//   exits   0 the attack seems to have worked
//           1 the kernel refused
//           2 there is no attack of this name
//
// A probe cannot know whether it hit the host. scripts/matrix/matrix looks at
// the host while the probe waits until its standard input ends.

#pragma once

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

namespace probe {

/// How an attack ended, and the line about it.
struct Answer {
  int status;
  std::string line;
};

/// The attack worked, as far as the container can see.
inline Answer done(const std::string& what) {
  return {0, what};
}

/// The name of the errno that the last call left: see errno(3).
inline std::string errno_name() {
#ifdef __GLIBC__  // musl has no strerrorname_np(3).
  if (const char* const name = ::strerrorname_np(errno)) return name;
#endif
  return "errno " + std::to_string(errno);
}

/// The kernel refused `what`, and errno says why.
inline Answer refused(const std::string& what) {
  return {1, what + ": " + errno_name()};
}

/// The first line that a read(2) returns.
inline std::string first_line(int fd) {
  std::array<char, 256> text{};
  const auto n = ::read(fd, text.data(), text.size() - 1);
  if (n == -1) return "(" + errno_name() + ")";
  return {text.data(), ::strcspn(text.data(), "\n")};
}

/// Whether there is a procfs. If there is none, it tries to mount one.
inline bool has_proc() {
  return ::access("/proc/self/stat", F_OK) == 0 ||
         ::mount("proc", "/proc", "proc", 0, nullptr) == 0;
}

using Attack = Answer (*)(const std::string& argument);

/// Runs the attack that the command line names. main calls it.
inline int run(int argc, char** argv,
               const std::map<std::string, Attack>& attacks) {
  const auto found = attacks.find(argc > 1 ? argv[1] : "");
  if (found == attacks.end()) {
    std::printf("usage: %s ATTACK [ARG]; an ATTACK is one of:\n", argv[0]);
    for (const auto& known : attacks) std::printf("%s\n", known.first.c_str());
    return 2;
  }
  const auto answer = found->second(argc > 2 ? argv[2] : "");
  std::printf("%s\n", answer.line.c_str());
  (void)std::fflush(stdout);
  // A terminal does not end, and its input can contain what the attack typed.
  for (char c = 0; ::isatty(STDIN_FILENO) == 0 && ::read(0, &c, 1) == 1;) {
  }
  return answer.status;
}

}  // namespace probe
