// A seccomp profile of config.json as a filter. The assembler is that of 08.
// The names of the calls are those of the headers that we are compiled with.

#include <sys/syscall.h>

#include "steps/oci/layers.hpp"

namespace {

const std::map<std::string, unsigned> kCalls{
#include "oci-calls.inc"
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

// Runs `body` if a condition holds, and else goes on. An argument has 64 bits,
// and a filter compares 32.
Program only_if(const Json& condition, const Program& body) {
  const auto operation = need<std::string>(condition, "/op");
  const bool is_unequal = operation == "SCMP_CMP_NE";
  const bool has_mask = operation == "SCMP_CMP_MASKED_EQ";
  if (!is_unequal && !has_mask && operation != "SCMP_CMP_EQ")
    refuse_config("the seccomp operator {} is not supported", operation);
  const auto index = need<unsigned>(condition, "/index");
  if (index > 5) refuse_config("a call has no argument {}", index);
  const auto first = get(condition, "/value", std::uint64_t{});
  const auto second = get(condition, "/valueTwo", std::uint64_t{});
  const auto mask = has_mask ? first : ~std::uint64_t{};
  const auto value = has_mask ? second : first;
  Program program = body;
  if (is_unequal)  // An equal one jumps over it.
    program = {BPF_STMT(BPF_JMP | BPF_JA, static_cast<__u32>(body.size()))};
  for (const unsigned half : {0U, 1U}) {  // The high one is around the low one.
    Program outer;
    load(outer, offsetof(seccomp_data, args) + 8 * index + 4 * half);
    outer.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K,
                             static_cast<__u32>(mask >> (32 * half))));
    only_for(outer, static_cast<__u32>(value >> (32 * half)), program);
    program = outer;
  }
  if (is_unequal) program.insert(program.end(), body.begin(), body.end());
  return program;
}

// Answers the verdict if all conditions hold, and else goes on.
Program rule(const Json& conditions, unsigned verdict) {
  Program program;
  answer(program, verdict);
  for (const Json& condition : conditions)
    program = only_if(condition, program);
  return program;
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
  // Rules with conditions come first, in their order. Of the rules without
  // conditions for one call, the last one counts.
  std::map<unsigned, unsigned> verdicts;
  for (const Json& one : at(profile, "/syscalls")) {
    const auto verdict = verdict_of(need<std::string>(one, "/action"),
                                    get<unsigned>(one, "/errnoRet", EPERM));
    for (const auto& name : texts(one, "/names")) {
      const auto call = kCalls.find(name);
      if (call == kCalls.end()) {
        if (!is_lenient(by_default) || is_lenient(verdict)) continue;
        refuse_config("the seccomp profile refuses {}, an unknown call", name);
      }
      if (at(one, "/args").empty()) {
        verdicts[call->second] = verdict;
        continue;
      }
      only_for(program, call->second, rule(one.at("args"), verdict));
      load(program, offsetof(seccomp_data, nr));  // After the arguments.
    }
  }
  for (const auto& [call, verdict] : verdicts)
    answer_if(program, BPF_JEQ, call, verdict);
  answer(program, by_default);
  if (program.size() > BPF_MAXINSNS)
    refuse_config("the seccomp profile is too long");
  return program;
}
