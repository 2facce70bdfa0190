// A seccomp profile of config.json as a filter. The assembler is that of 08.
// The names of the calls are those of the headers that we are compiled with.

#include <sys/syscall.h>

#include "steps/oci/layers.hpp"

namespace {

const std::map<std::string, unsigned> kCalls{
#include "build/oci-calls.inc"
};

unsigned verdict_of(const std::string& action, unsigned errnum) {
  const std::map<std::string, unsigned> verdicts{
      {"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW},
      {"SCMP_ACT_LOG", SECCOMP_RET_LOG},
      {"SCMP_ACT_TRAP", SECCOMP_RET_TRAP},
      {"SCMP_ACT_ERRNO", refuse(errnum)},
      {"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD},
      {"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD},
      {"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS}};
  const auto found = verdicts.find(action);
  if (found == verdicts.end() || errnum > SECCOMP_RET_DATA)
    refuse_config("the seccomp action {} is not supported", action);
  return found->second;
}

bool is_lenient(unsigned verdict) {
  return verdict == SECCOMP_RET_ALLOW || verdict == SECCOMP_RET_LOG;
}

// Where a comparison leads that fails: its distance comes later.
constexpr __u8 kOut = 255;

// Appends the comparison of one half of an argument, behind a mask.
void compare(Program& program, std::size_t offset, unsigned mask,
             unsigned value, __u8 if_equal, __u8 if_not) {
  load(program, offset);
  program.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask));
  program.push_back(
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, if_equal, if_not));
}

// An argument has 64 bits, and a filter compares 32.
void append_condition(Program& program, const Json& wanted) {
  const auto operation = need<std::string>(wanted, "/op");
  const bool has_mask = operation == "SCMP_CMP_MASKED_EQ";
  const auto first = get(wanted, "/value", std::uint64_t{});
  const auto mask = has_mask ? first : ~std::uint64_t{};
  const auto value =
      has_mask ? get(wanted, "/valueTwo", std::uint64_t{}) : first;
  const auto index = need<unsigned>(wanted, "/index");
  if (index > 5) refuse_config("a call has no argument {}", index);
  const auto low = offsetof(seccomp_data, args) + index * sizeof(__u64);
  const auto half = [](std::uint64_t bits, int shift) {
    return static_cast<unsigned>(bits >> shift);
  };
  if (operation == "SCMP_CMP_NE") {  // If the high halves differ, it is true.
    compare(program, low + 4, ~0U, half(value, 32), 0, 3);
    compare(program, low, ~0U, half(value, 0), kOut, 0);
  } else if (has_mask || operation == "SCMP_CMP_EQ") {
    compare(program, low + 4, half(mask, 32), half(value, 32), 0, kOut);
    compare(program, low, half(mask, 0), half(value, 0), 0, kOut);
  } else {
    refuse_config("the seccomp operator {} is not supported", operation);
  }
}

// Answers the verdict if all conditions hold, and else goes on.
Program rule(const Json& conditions, unsigned verdict) {
  Program program;
  for (const Json& wanted : conditions) append_condition(program, wanted);
  answer(program, verdict);
  for (std::size_t i = 0; i < program.size(); ++i)
    for (auto* const jump : {&program[i].jt, &program[i].jf})
      if (*jump == kOut) *jump = static_cast<__u8>(program.size() - i - 1);
  return program;
}

// What a profile says of one call: rules with conditions, in their order, and
// the verdict if none of them answers.
struct Entry {
  Program conditional;
  unsigned otherwise;
};

std::map<unsigned, Entry> entries_of(const Json& profile, unsigned by_default) {
  std::map<unsigned, Entry> entries;
  for (const Json& one : at(profile, "/syscalls")) {
    const auto verdict = verdict_of(need<std::string>(one, "/action"),
                                    get<unsigned>(one, "/errnoRet", EPERM));
    for (const auto& name : texts(one, "/names")) {
      const auto call = kCalls.find(name);
      if (call == kCalls.end()) {
        if (!is_lenient(by_default) || is_lenient(verdict)) continue;
        refuse_config("the seccomp profile refuses {}, an unknown call", name);
      }
      auto& entry = entries.try_emplace(call->second, Entry{{}, by_default})
                        .first->second;
      if (at(one, "/args").empty()) {
        entry.otherwise = verdict;
        continue;
      }
      const auto more = rule(one.at("args"), verdict);
      entry.conditional.insert(entry.conditional.end(), more.begin(),
                               more.end());
    }
  }
  return entries;
}

}  // namespace

Program make_filter(const Json& profile) {
  const auto by_default =
      verdict_of(need<std::string>(profile, "/defaultAction"),
                 get<unsigned>(profile, "/defaultErrnoRet", EPERM));
  auto program = begin_filter();
#ifdef __X32_SYSCALL_BIT  // Other numbers for calls that the profile refuses.
  answer_if(program, BPF_JGE, __X32_SYSCALL_BIT, refuse(ENOSYS));
#endif
  for (auto& [call, entry] : entries_of(profile, by_default)) {
    answer(entry.conditional, entry.otherwise);
    only_for(program, call, entry.conditional);
  }
  answer(program, by_default);
  return program;
}
