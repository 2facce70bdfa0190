// A little of rtnetlink(7): what ip(8) does, asked of the kernel directly.

#pragma once

#include <sys/types.h>  // pid_t

#include <cstdint>
#include <string>
#include <utility>

#include "common/fd.hpp"

namespace sys {

/// An IPv4 address in host byte order: 10.0.0.1 is 0x0a000001.
using Ipv4 = std::uint32_t;

/// "10.0.0.1".
std::string to_string(Ipv4 address);

/// The socket to the network configuration of the network namespace it is made
/// in. Each call is one request and its answer; all throw Error.
class Netlink {
 public:
  Netlink();

  /// Over this socket, whatever answers there.
  explicit Netlink(Fd socket) : socket_{std::move(socket)} {}

  /// ip link add NAME up type veth peer name PEER netns PID
  /// False if there is a link NAME already.
  bool add_veth(const std::string& name, const std::string& peer, pid_t pid);

  /// ip link set NAME up
  void set_up(const std::string& name);

  /// ip address add ADDRESS peer PEER/PREFIX dev NAME: with 32, it makes a
  /// route to PEER, and to no other address.
  void add_peer_address(const std::string& name, Ipv4 address, Ipv4 peer,
                        unsigned prefix = 32);

  /// ip route add default via GATEWAY
  void add_default_route(Ipv4 gateway);

  /// ip route get fibmatch ADDRESS: how long the prefix is of the route that
  /// packets to it would take. 0 for a default route, or for none at all.
  unsigned route_prefix(Ipv4 address);

 private:
  Fd socket_;
};

}  // namespace sys
