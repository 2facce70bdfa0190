// A little assembler for filters of system calls: see seccomp(2), bpf(2), and
// "Classic BPF" in the documentation of the kernel.

#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <cstddef>
#include <span>
#include <stdexcept>
#include <vector>

#include "common/error.hpp"

#if defined(__x86_64__)
inline constexpr unsigned kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
inline constexpr unsigned kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "tell bpf.hpp the AUDIT_ARCH_* of this machine: see seccomp(2)"
#endif

using Program = std::vector<sock_filter>;

/// Loads a word of the seccomp_data of a call.
inline void load(Program& program, std::size_t offset) {
  program.push_back(
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(offset)));
}

/// Loads the low half of an argument: the kernel looks at no more of those that
/// 08 compares, and to compare all 64 bits would let a caller pass with a bit
/// set above them.
inline void load_argument(Program& program, unsigned index) {
  load(program, offsetof(seccomp_data, args) + index * sizeof(__u64));
}

/// Ends the filter with a verdict, SECCOMP_RET_ALLOW say.
inline void answer(Program& program, unsigned verdict) {
  program.push_back(BPF_STMT(BPF_RET | BPF_K, verdict));
}

/// The verdict that makes a call fail with `errnum`.
constexpr unsigned refuse(unsigned errnum) {
  return SECCOMP_RET_ERRNO | errnum;
}

/// Answers `verdict` if the loaded word compares so.
inline void answer_if(Program& program, unsigned comparison, unsigned value,
                      unsigned verdict) {
  program.push_back(BPF_JUMP(BPF_JMP | comparison | BPF_K, value, 0, 1));
  answer(program, verdict);
}

/// Answers `verdict` if the loaded word does not.
inline void answer_unless(Program& program, unsigned comparison, unsigned value,
                          unsigned verdict) {
  program.push_back(BPF_JUMP(BPF_JMP | comparison | BPF_K, value, 1, 0));
  answer(program, verdict);
}

/// How far a jump that compares may go: it has eight bits for that.
inline constexpr std::size_t kFarthest = 255;

/// Appends `body` to be run for one value of the loaded word only; it must end
/// in answers.
inline void only_for(Program& program, unsigned value, const Program& body) {
  if (body.size() > kFarthest)
    throw std::length_error{"a rule of the filter is too long to be skipped"};
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0,
                             static_cast<__u8>(body.size())));
  program.insert(program.end(), body.begin(), body.end());
}

/// From this number on, until the next one, calls get this verdict.
struct Stretch {
  unsigned first;
  unsigned verdict;
};

/// Halves the stretches until one is left, so that no call costs more than a
/// few comparisons.
inline Program search(std::span<const Stretch> among) {
  Program program;
  if (among.size() == 1) {
    answer(program, among.front().verdict);
    return program;
  }
  const auto middle = among.size() / 2;
  const auto below = search(among.first(middle));
  const auto above = search(among.subspan(middle));
  if (below.size() <= kFarthest) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, among[middle].first,
                               static_cast<__u8>(below.size()), 0));
  } else {  // A jump that compares nothing has 32 bits.
    program.push_back(
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, among[middle].first, 0, 1));
    program.push_back(
        BPF_STMT(BPF_JMP | BPF_JA, static_cast<__u32>(below.size())));
  }
  program.insert(program.end(), below.begin(), below.end());
  program.insert(program.end(), above.begin(), above.end());
  return program;
}

/// A filter that kills a process for a call of another architecture, 32-bit
/// say, because such calls have other numbers. Ends with the number loaded.
inline Program begin_filter() {
  Program program;
  load(program, offsetof(seccomp_data, arch));
  answer_unless(program, BPF_JEQ, kArchitecture, SECCOMP_RET_KILL_PROCESS);
  load(program, offsetof(seccomp_data, nr));
  return program;
}

/// Hands the filter to the kernel, for this process and all that come of it.
inline void install_filter(Program filter) {
  if (filter.size() > BPF_MAXINSNS)
    throw std::length_error{"the filter has too many instructions"};
  const sock_fprog program{static_cast<unsigned short>(filter.size()),
                           filter.data()};
  sys::check(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program),
             "prctl(2) PR_SET_SECCOMP: a filter of {} instructions",
             filter.size());
}
