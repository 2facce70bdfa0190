#include "common/nat.hpp"

#include <fmt/ranges.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "common/error.hpp"
#include "common/file.hpp"

namespace sys {

namespace {

using Command = std::vector<std::string>;

// 127 if there is no such program, as in a shell. It inherits our mask, so that
// no ^C can end it half-way.
int run(Command command) {
  std::vector<char*> words;
  for (auto& word : command) words.push_back(word.data());
  words.push_back(nullptr);
  pid_t pid = 0;
  if (::posix_spawnp(&pid, words[0], nullptr, nullptr, words.data(),
                     ::environ) != 0)
    return kNotFound;
  int status = 0;
  if (::waitpid(pid, &status, 0) == -1) return kOurFailure;
  narrate("run {}", fmt::join(command, " "));
  return WIFEXITED(status) ? WEXITSTATUS(status) : kOurFailure;
}

}  // namespace

Nat::Nat(const std::string& link, const std::string& address) {
  if (!read_file("/proc/sys/net/ipv4/ip_forward").starts_with('1'))
    throw std::runtime_error{
        "cannot let the container out: the host forwards no packets; hint: "
        "sudo sysctl -w net.ipv4.ip_forward=1"};

  write_file("/proc/sys/net/ipv4/conf/" + link + "/forwarding", "1");
  const auto table = sys::format(
      "table ip {0}; delete table ip {0}; table ip {0} {{ chain out {{ "
      "type nat hook postrouting priority 100; "
      "ip saddr {1} oifname != \"{0}\" masquerade; }}; chain between {{ "
      "type filter hook forward priority 0; "
      "iifname \"{0}\" oifname \"box*\" drop; }}; }}",
      link, address);
  const int nft = run({"nft", table});
  if (nft == 0) undo_.push_back({"nft", "delete table ip " + link});
  if (nft != kNotFound) {
    if (nft == 0) return;
    throw std::runtime_error{"cannot let the container out: nft failed"};
  }
  add_rule("nat",
           {"POSTROUTING", "-s", address, "!", "-o", link, "-j", "MASQUERADE"});
  add_rule("filter", {"FORWARD", "-i", link, "-o", "box+", "-j", "DROP"});
}

void Nat::add_rule(const std::string& table,
                   const std::vector<std::string>& rule) {
  Command add{"iptables", "-w", "-t", table, "-I"};
  Command remove{"iptables", "-w", "-t", table, "-D"};
  add.insert(add.end(), rule.begin(), rule.end());
  remove.insert(remove.end(), rule.begin(), rule.end());
  if (run(add) != 0)
    throw std::runtime_error{
        "cannot let the container out: it takes nft or iptables"};
  undo_.push_back(remove);
}

Nat::~Nat() {
  for (const auto& command : undo_)
    if (run(command) != 0)
      note(sys::format("could not undo: {}", fmt::join(command, " ")));
}

}  // namespace sys
