#include "common/netlink.hpp"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <string_view>

namespace sys {

namespace {

// One request: a header, a fixed struct, and attributes that may nest. All are
// aligned to four bytes: see rtnetlink(7).
class Request {
 public:
  template <typename Body>
  Request(std::uint16_t type, unsigned flags, const Body& body) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    append(&header, sizeof header);
    append(&body, sizeof body);
  }

  void add(std::uint16_t type, const void* data, std::size_t size) {
    const rtattr header{static_cast<std::uint16_t>(sizeof header + size), type};
    append(&header, sizeof header);
    append(data, size);
  }
  void add(std::uint16_t type, const std::string& text) {
    add(type, text.c_str(), text.size() + 1);
  }
  void add(std::uint16_t type, std::uint32_t value) {
    add(type, &value, sizeof value);
  }

  // Opens an attribute that holds others (and `body`); close it with end().
  template <typename Body>
  std::size_t begin(std::uint16_t type, const Body& body) {
    const auto at = begin(type);
    append(&body, sizeof body);
    return at;
  }
  std::size_t begin(std::uint16_t type) {
    const auto at = bytes_.size();
    add(type, nullptr, 0);
    return at;
  }
  void end(std::size_t at) {
    const auto size = static_cast<std::uint16_t>(bytes_.size() - at);
    std::memcpy(bytes_.data() + at, &size, sizeof size);
  }

  std::string_view finish(std::uint32_t sequence) {
    nlmsghdr header{};
    std::memcpy(&header, bytes_.data(), sizeof header);
    header.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
    header.nlmsg_seq = sequence;
    std::memcpy(bytes_.data(), &header, sizeof header);
    return bytes_;
  }

 private:
  void append(const void* data, std::size_t size) {
    if (size != 0) bytes_.append(static_cast<const char*>(data), size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }
  std::string bytes_;
};

using Answer = std::array<char, 8192>;

// Calls a function again for as long as a signal interrupts it.
template <typename Call>
auto through_signals(const Call& call) {
  for (;;)
    if (const auto result = call(); result != -1 || errno != EINTR)
      return result;
}

// Sends one request and reads the answer, which has the number of the request.
// Returns 0, or the kernel's errno.
int exchange(const Fd& socket, Request& request, Answer& answer) {
  static std::uint32_t last = 0;
  const auto number = ++last;
  const auto bytes = request.finish(number);
  const auto sent = through_signals(
      [&] { return ::send(socket.get(), bytes.data(), bytes.size(), 0); });
  if (sent == -1) return errno;
  nlmsghdr header{};
  do {
    const auto n = through_signals(
        [&] { return ::recv(socket.get(), answer.data(), answer.size(), 0); });
    if (n == -1) return errno;
    std::memcpy(&header, answer.data(), sizeof header);
  } while (header.nlmsg_seq != number);
  if (header.nlmsg_type != NLMSG_ERROR) return 0;
  nlmsgerr result{};
  std::memcpy(&result, answer.data() + NLMSG_HDRLEN, sizeof result);
  return -result.error;
}

// Throws if the kernel says no.
void require(const Fd& socket, Request& request, const std::string& doing) {
  Answer answer{};
  const int errnum = exchange(socket, request, answer);
  if (errnum != 0) throw Error{errnum, doing};
  narrate("{}", doing);
}

unsigned index_of(const std::string& name) {
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) throw Error{errno, "if_nametoindex(3) " + name};
  return index;
}

ifinfomsg link_info(unsigned index, unsigned flags) {
  ifinfomsg info{};
  info.ifi_family = AF_UNSPEC;
  info.ifi_index = static_cast<int>(index);
  info.ifi_flags = flags;
  info.ifi_change = flags;
  return info;
}

// The kernel makes a route to the first `prefix` bits of `peer`.
Request address_request(const std::string& name, Ipv4 address, Ipv4 peer,
                        unsigned prefix) {
  ifaddrmsg info{};
  info.ifa_family = AF_INET;
  info.ifa_prefixlen = static_cast<std::uint8_t>(prefix);
  info.ifa_index = index_of(name);
  Request request{RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, info};
  request.add(IFA_LOCAL, ::htonl(address));
  request.add(IFA_ADDRESS, ::htonl(peer));
  return request;
}

}  // namespace

std::string to_string(Ipv4 address) {
  return sys::format("{}.{}.{}.{}", address >> 24U, (address >> 16U) & 0xffU,
                     (address >> 8U) & 0xffU, address & 0xffU);
}

Netlink::Netlink()
    : socket_{
          check(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE),
                "socket(2) AF_NETLINK")} {}

bool Netlink::add_veth(const std::string& name, const std::string& peer,
                       pid_t pid) {
  Request request{RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK,
                  link_info(0, IFF_UP)};
  request.add(IFLA_IFNAME, name);
  const auto info = request.begin(IFLA_LINKINFO);
  request.add(IFLA_INFO_KIND, "veth");
  const auto data = request.begin(IFLA_INFO_DATA);
  const auto other = request.begin(VETH_INFO_PEER, link_info(0, 0));
  request.add(IFLA_IFNAME, peer);
  request.add(IFLA_NET_NS_PID, static_cast<std::uint32_t>(pid));
  request.end(other);
  request.end(data);
  request.end(info);
  const auto doing = sys::format(
      "rtnetlink(7) RTM_NEWLINK veth: {} on the host, {} in the network "
      "namespace of PID {}",
      name, peer, pid);
  Answer answer{};
  const int errnum = exchange(socket_, request, answer);
  if (errnum == EEXIST) return false;
  if (errnum != 0) throw Error{errnum, doing};
  narrate("{}", doing);
  return true;
}

void Netlink::delete_link(const std::string& name) {
  Request request{RTM_DELLINK, NLM_F_ACK, link_info(0, 0)};
  request.add(IFLA_IFNAME, name);
  Answer answer{};
  const int errnum = exchange(socket_, request, answer);
  if (errnum == ENODEV) return;
  if (errnum != 0) throw Error{errnum, "rtnetlink(7) RTM_DELLINK " + name};
  narrate("rtnetlink(7) RTM_DELLINK {}", name);
}

void Netlink::set_up(const std::string& name) {
  Request request{RTM_NEWLINK, NLM_F_ACK, link_info(index_of(name), IFF_UP)};
  require(socket_, request,
          sys::format("rtnetlink(7) RTM_NEWLINK {}: up", name));
}

void Netlink::add_address(const std::string& name, Ipv4 address,
                          unsigned prefix) {
  auto request = address_request(name, address, address, prefix);
  require(socket_, request,
          sys::format("rtnetlink(7) RTM_NEWADDR {}: {}/{}", name,
                      to_string(address), prefix));
}

void Netlink::add_peer_address(const std::string& name, Ipv4 address,
                               Ipv4 peer) {
  auto request = address_request(name, address, peer, 32);
  require(socket_, request,
          sys::format("rtnetlink(7) RTM_NEWADDR {}: {} with the peer {}", name,
                      to_string(address), to_string(peer)));
}

void Netlink::add_default_route(Ipv4 gateway) {
  rtmsg info{};
  info.rtm_family = AF_INET;
  info.rtm_table = RT_TABLE_MAIN;
  info.rtm_protocol = RTPROT_BOOT;
  info.rtm_scope = RT_SCOPE_UNIVERSE;
  info.rtm_type = RTN_UNICAST;
  Request request{RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, info};
  request.add(RTA_GATEWAY, ::htonl(gateway));
  require(socket_, request,
          "rtnetlink(7) RTM_NEWROUTE default via " + to_string(gateway));
}

unsigned Netlink::route_prefix(Ipv4 address) {
  rtmsg info{};
  info.rtm_family = AF_INET;
  info.rtm_dst_len = 32;
  info.rtm_flags = RTM_F_FIB_MATCH;  // The table's entry, not the path.
  Request request{RTM_GETROUTE, 0, info};
  request.add(RTA_DST, ::htonl(address));
  Answer answer{};
  const int errnum = exchange(socket_, request, answer);
  if (errnum == ENETUNREACH) return 0;
  if (errnum != 0) return 32;  // For example a blackhole: in use.
  rtmsg route{};
  std::memcpy(&route, answer.data() + NLMSG_HDRLEN, sizeof route);
  return route.rtm_dst_len;
}

}  // namespace sys
