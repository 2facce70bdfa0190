#include "steps/06-netns-veth/nat.hpp"

#include <fmt/ranges.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "common/error.hpp"
#include "common/file.hpp"

namespace sys {

namespace {

struct Refused : std::runtime_error {
  explicit Refused(const std::string& why)
      : std::runtime_error{"cannot let the container out: " + why} {}
};
struct NoSuchProgram : Refused {
  using Refused::Refused;
};

// How a program ended, and the first line of its errors.
struct Ended {
  int status = kOurFailure;
  std::string line;
};

// Runs a program along PATH, and waits for its end: see posix_spawnp(3). It
// inherits our signal mask, so that no ^C can end it half-way.
Ended run(std::vector<std::string> command) {
  std::vector<char*> words;
  for (auto& word : command) words.push_back(word.data());
  words.push_back(nullptr);
  Pipe errors;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  const Defer destroy{[&] { ::posix_spawn_file_actions_destroy(&actions); }};
  ::posix_spawn_file_actions_adddup2(&actions, errors.write_end.get(),
                                     STDERR_FILENO);
  pid_t pid = 0;
  const int errnum = ::posix_spawnp(&pid, words[0], &actions, nullptr,
                                    words.data(), ::environ);
  if (errnum == ENOENT) return {kNotFound, "there is no such program"};
  if (errnum != 0) return {kNotExecutable, errno_name(errnum)};
  errors.write_end.reset();
  const auto text = read_all(errors.read_end, "the errors of " + command[0]);
  int status = 0;
  if (::waitpid(pid, &status, 0) == -1) return {kOurFailure, errno_name(errno)};
  narrate("posix_spawnp(3) {}", fmt::join(command, " "));
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          text.substr(0, text.find('\n'))};
}

}  // namespace

Nat::Rule::Rule(const Command& add, Command remove)
    : remove_{std::move(remove)} {
  const auto added = run(add);
  if (added.status == 0) return;
  if (added.status == kNotFound) throw NoSuchProgram{"no " + add.front()};
  run(remove_);  // One that was killed may have done its work all the same.
  throw Refused{sys::format("{}: {}", add.front(),
                            added.line.empty()
                                ? sys::format("status {}", added.status)
                                : added.line)};
}

Nat::Rule::~Rule() {
  try {
    const auto removed = run(remove_);
    if (removed.status != 0)
      note(sys::format("could not undo: {}: {}", fmt::join(remove_, " "),
                       removed.line));
  } catch (const std::exception& error) {
    tell(error);
  }
}

Nat::Nat(const std::string& link, const std::string& address)
    : forwarding_{"/proc/sys/net/ipv4/conf/" + link + "/forwarding"} {
  if (!read_file("/proc/sys/net/ipv4/ip_forward").starts_with('1'))
    throw Refused{
        "the host forwards no packets; hint: sysctl -w net.ipv4.ip_forward=1"};
  try {
    add_table(link, address);
  } catch (const NoSuchProgram&) {
    add_iptables_rules(link, address);
  }
  write_file(forwarding_, "1");
}

// One transaction: the kernel takes all of it, or nothing. At postrouting, only
// Linux 5.7 and later knows where a packet came in, so `between` asks that.
void Nat::add_table(const std::string& link, const std::string& address) {
  // What may not be there is made first, so that it can be deleted.
  const auto none = sys::format("table ip {0}; delete table ip {0}", link);
  const auto table = sys::format(
      "{0}; table ip {1} {{ chain out {{ "
      "type nat hook postrouting priority 100; "
      "ip saddr {2} oifname != \"{1}\" masquerade; }}; chain between {{ "
      "type filter hook forward priority 0; "
      "ip saddr {2} iifname != \"{1}\" drop; "
      "ip saddr != {2} iifname \"{1}\" drop; "
      "iifname \"{1}\" oifname \"box*\" drop; "
      "oifname \"{1}\" ct state established,related accept; "
      "oifname \"{1}\" ct status dnat accept; "
      "oifname \"{1}\" drop; }}; }}",
      none, link, address);
  rules_.emplace_back(Command{"nft", table}, Command{"nft", none});
}

void Nat::add_iptables_rules(const std::string& link,
                             const std::string& address) try {
  add_iptables_rule("filter",
                    {"FORWARD", "-o", link, "-m", "conntrack", "!", "--ctstate",
                     "RELATED,ESTABLISHED,DNAT", "-j", "DROP"});
  add_iptables_rule("filter",
                    {"FORWARD", "-i", link, "-o", "box+", "-j", "DROP"});
  add_iptables_rule("filter",
                    {"FORWARD", "!", "-s", address, "-i", link, "-j", "DROP"});
  add_iptables_rule("filter",
                    {"FORWARD", "-s", address, "!", "-i", link, "-j", "DROP"});
  add_iptables_rule("nat", {"POSTROUTING", "-s", address, "!", "-o", link, "-j",
                            "MASQUERADE"});
} catch (const NoSuchProgram&) {
  throw Refused{"it takes nft or iptables"};
}

// A list destroys its first element first. So a rule is undone before those
// that were there when it was added: the masquerading before what limits it.
void Nat::add_iptables_rule(const std::string& table, const Command& rule) {
  Command add{"iptables", "-w", "-t", table, "-I"};
  Command remove{"iptables", "-w", "-t", table, "-D"};
  add.insert(add.end(), rule.begin(), rule.end());
  remove.insert(remove.end(), rule.begin(), rule.end());
  rules_.emplace_front(add, remove);
}

// First nothing is forwarded any more, then the rules go. The link lives on
// only if a process of the host has joined the network.
Nat::~Nat() {
  try {
    write_file(forwarding_, "0");
  } catch (const Error&) {
  }
}

}  // namespace sys
