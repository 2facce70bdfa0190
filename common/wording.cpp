#include "common/wording.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "common/text.hpp"

namespace sys {

namespace {

// What Docker's users are used to, and what is said instead here.
constexpr std::string_view kNoNeed{
    "leave it out, the terminal is the caller's"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 33> kHabits{
    {
        {"-i", kNoNeed},
        {"-t", kNoNeed},
        {"-it", kNoNeed},
        {"-ti", kNoNeed},
        {"--interactive", kNoNeed},
        {"--tty", kNoNeed},
        {"-d", "leave it out, and end the line with &"},
        {"--detach", "leave it out, and end the line with &"},
        {"--rm", "leave it out, nothing is kept"},
        {"--name", "--hostname NAME; build/enter takes the PID"},
        {"-p", "no port is published: see steps/06-netns-veth/README.md"},
        {"-P", "no port is published: see steps/06-netns-veth/README.md"},
        {"--publish",
         "no port is published: see steps/06-netns-veth/README.md"},
        {"--volume", "--bind SRC:DST[:ro]"},
        {"--mount", "--bind SRC:DST[:ro]"},
        {"-e", "--env NAME=VALUE"},
        {"-m", "--memory SIZE"},
        {"--mem", "--memory SIZE"},
        {"-u", "--user UID[:GID]"},
        {"--network", "--net veth|nat|none|host"},
        {"--host", "--hostname NAME"},
        {"--name-space", "each step has its own: see --help"},
        {"--pids-limit", "--pids N"},
        {"--cpu", "--cpus X"},
        {"-w", "COMMAND may be: sh -c 'cd DIR && exec ...'"},
        {"--workdir", "COMMAND may be: sh -c 'cd DIR && exec ...'"},
        {"-c", "COMMAND stands behind ROOTFS: sh -c '...'"},
        {"--command", "COMMAND stands behind ROOTFS"},
        {"--entrypoint", "COMMAND stands behind ROOTFS"},
        {"--rootfs", "ROOTFS is a word of its own, in front of COMMAND"},
        {"--readonly", "--read-only"},
        {"--read_only", "--read-only"},
        {"--verbose", "-v"},
    }};

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

}  // namespace

std::string_view hint_for_option(std::string_view name) {
  for (const auto& [habit, instead] : kHabits)
    if (habit == name) return instead;
  return {};
}

std::string hint_for_rootfs(const std::string& rootfs,
                            const std::string& there) {
  if (!exists(there)) return "make rootfs makes one";
  if (rootfs.empty()) return "it is an empty word; left out it is " + there;
  const auto name = rootfs.substr(rootfs.rfind('/') + 1);
  if (rootfs.find(":/") != rootfs.npos)
    return "to show a directory inside, say --bind SRC:DST; -v only narrates";
  if (name == "run" || name == "exec" || name == "start" ||
      (!name.empty() && exists(there + "/bin/" + name)))
    return "ROOTFS stands in front of COMMAND: " + there;
  if (name == "rootfs") return "there is one in " + there;
  return "ROOTFS is a directory, " + there +
         " say; rootfs/from-image unpacks an image into one";
}

std::string hint_for_size(std::string_view text) {
  const auto end = text.find_first_not_of("0123456789");
  const auto number = text.substr(0, end);
  if (number.empty() || number.size() > 6) return {};
  std::string unit;
  for (const char c : text.substr(std::min(end, text.size())))
    if (c != ' ') unit += static_cast<char>(std::toupper(c));
  if (unit.empty() && number.find_first_not_of('0') == number.npos)
    return "; hint: none is for no limit";
  for (const std::string known : {"K", "M", "G"})
    if (unit == known || unit == known + "B" || unit == known + "IB")
      return sys::format("; hint: {}{}", number, known);
  if (unit == "T" || unit == "TB" || unit == "TIB")
    return sys::format("; hint: {}G", 1024 * std::stoll(std::string{number}));
  return {};
}

}  // namespace sys
