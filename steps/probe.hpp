// What the probes share: an attack is chosen by its name, tells in one line
// what it did and what the kernel answered, and gives the host time to look.
//
//   usage   probe-NN-name ATTACK [ARG]
//   exits   0 it thinks that it did it
//           1 the kernel refused
//           2 it was not asked for an attack that it knows
//
// Whether the host was hit is not for a probe to say: scripts/matrix/matrix
// looks at the host, for as long as the probe waits for its standard input to
// end.

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

/// It went through, as far as can be seen from inside.
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

/// What a read(2) yields, up to the end of its first line.
inline std::string first_line(int fd) {
  std::array<char, 256> text{};
  const auto n = ::read(fd, text.data(), text.size() - 1);
  if (n == -1) return "(" + errno_name() + ")";
  return {text.data(), ::strcspn(text.data(), "\n")};
}

/// Mounts a proc, as an attacker would, unless there is one.
inline bool has_proc() {
  return ::access("/proc/self/stat", F_OK) == 0 ||
         ::mount("proc", "/proc", "proc", 0, nullptr) == 0;
}

using Attack = Answer (*)(const std::string& argument);

/// What main does.
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
  // A terminal does not end, and holds what somebody may want to look at.
  for (char c = 0; ::isatty(STDIN_FILENO) == 0 && ::read(0, &c, 1) == 1;) {
  }
  return answer.status;
}

}  // namespace probe
