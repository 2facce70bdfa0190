// Network address translation, through the host's own nft(8) or iptables(8).
// The steps from 06 on link nat.cpp.

#pragma once

#include <list>
#include <string>
#include <vector>

namespace sys {

/// For as long as it lives, packets that come in at `link` from `address` leave
/// the host under the host's own address, but not to another box. Others that
/// come in at `link`, or from `address`, are not forwarded. To `link` the
/// host then forwards the answers, what is related to them, and what a rule of
/// the host's root publishes (dnat), but nothing else that is new. Throws
/// std::runtime_error if the host does not forward packets, or has neither
/// tool.
///
/// With nft, a table named like the link: so no rule of the host is touched,
/// and one that a killed run left behind is replaced. Else two chains of
/// iptables get five rules.
class Nat {
 public:
  Nat(const std::string& link, const std::string& address);
  Nat(const Nat&) = delete;
  Nat& operator=(const Nat&) = delete;
  ~Nat();

 private:
  using Command = std::vector<std::string>;

  /// What one command adds to the host, and another one removes.
  class Rule {
   public:
    Rule(const Command& add, Command remove);
    Rule(const Rule&) = delete;
    Rule& operator=(const Rule&) = delete;
    ~Rule();

   private:
    Command remove_;
  };

  void add_table(const std::string& link, const std::string& address);
  void add_iptables_rules(const std::string& link, const std::string& address);
  void add_iptables_rule(const std::string& table, const Command& rule);

  std::string forwarding_;  // The file that says whether it is forwarded.
  std::list<Rule> rules_;
};

}  // namespace sys
