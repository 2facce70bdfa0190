// Network address translation, through the host's own nft(8) or iptables(8).

#pragma once

#include <string>
#include <vector>

namespace sys {

/// For as long as it lives, packets that come in at `link` from `address` leave
/// the host under the host's own address, but not to another box. Throws
/// std::runtime_error if the host does not forward packets, or has neither
/// tool.
///
/// With nft, a table named like the link: so no rule of the host is touched,
/// and one that a killed run left behind is replaced. Else two chains get one
/// iptables rule each.
class Nat {
 public:
  Nat(const std::string& link, const std::string& address);
  Nat(const Nat&) = delete;
  Nat& operator=(const Nat&) = delete;
  ~Nat();

 private:
  void add_rule(const std::string& table, const std::vector<std::string>& rule);

  std::vector<std::vector<std::string>> undo_;
};

}  // namespace sys
