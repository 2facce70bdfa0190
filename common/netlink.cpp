#include "common/netlink.hpp"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <string_view>

namespace sys {

namespace {

// The bytes of a plain value. All parts of a message are aligned to four bytes.
template <typename Value>
std::string bytes_of(const Value& value) {
  std::string bytes(NLMSG_ALIGN(sizeof value), '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

// An attribute, whose value can be other attributes: see rtnetlink(7).
std::string attribute(std::uint16_t type, std::string_view value) {
  const auto size = static_cast<std::uint16_t>(RTA_LENGTH(value.size()));
  auto bytes = bytes_of(rtattr{size, type}).append(value);
  bytes.resize(RTA_ALIGN(bytes.size()));
  return bytes;
}

// A request, but for its header.
struct Request {
  std::uint16_t type;
  unsigned flags;
  std::string body;
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
int exchange(const Fd& socket, const Request& request, Answer& answer) {
  static std::uint32_t last = 0;
  nlmsghdr header{};
  header.nlmsg_len =
      static_cast<std::uint32_t>(NLMSG_HDRLEN + request.body.size());
  header.nlmsg_type = request.type;
  header.nlmsg_flags =
      static_cast<std::uint16_t>(NLM_F_REQUEST | request.flags);
  const auto number = header.nlmsg_seq = ++last;
  const auto bytes = bytes_of(header) + request.body;
  const auto sent = through_signals(
      [&] { return ::send(socket.get(), bytes.data(), bytes.size(), 0); });
  if (sent == -1) return errno;
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

// False if the kernel says that there is one already. Throws if it says no.
bool make(const Fd& socket, const Request& request, const std::string& doing) {
  Answer answer{};
  const int errnum = exchange(socket, request, answer);
  if (errnum == EEXIST) return false;
  if (errnum != 0) throw Error{errnum, doing};
  narrate("{}", doing);
  return true;
}

// The same, and throws if there is one already.
void require(const Fd& socket, const Request& request,
             const std::string& doing) {
  if (!make(socket, request, doing)) throw Error{EEXIST, doing};
}

unsigned index_of(const std::string& name) {
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) throw Error{errno, "if_nametoindex(3) " + name};
  return index;
}

std::string link_info(unsigned index, unsigned flags) {
  ifinfomsg info{};
  info.ifi_family = AF_UNSPEC;
  info.ifi_index = static_cast<int>(index);
  info.ifi_flags = flags;
  info.ifi_change = flags;
  return bytes_of(info);
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
  const auto other = link_info(0, 0) + attribute(IFLA_IFNAME, peer) +
                     attribute(IFLA_NET_NS_PID, bytes_of(pid));
  const auto veth = attribute(IFLA_INFO_KIND, "veth") +
                    attribute(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, other));
  return make(
      socket_,
      {RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK,
       link_info(0, IFF_UP) + attribute(IFLA_IFNAME, name) +
           attribute(IFLA_LINKINFO, veth)},
      sys::format("rtnetlink(7) RTM_NEWLINK veth: {} on the host, {} in the "
                  "network namespace of PID {}",
                  name, peer, pid));
}

void Netlink::set_up(const std::string& name) {
  require(socket_, {RTM_NEWLINK, NLM_F_ACK, link_info(index_of(name), IFF_UP)},
          sys::format("rtnetlink(7) RTM_NEWLINK {}: up", name));
}

void Netlink::add_peer_address(const std::string& name, Ipv4 address, Ipv4 peer,
                               unsigned prefix) {
  ifaddrmsg info{};
  info.ifa_family = AF_INET;
  info.ifa_prefixlen = static_cast<std::uint8_t>(prefix);
  info.ifa_index = index_of(name);
  require(socket_,
          {RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK,
           bytes_of(info) + attribute(IFA_LOCAL, bytes_of(::htonl(address))) +
               attribute(IFA_ADDRESS, bytes_of(::htonl(peer)))},
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
  require(socket_,
          {RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK,
           bytes_of(info) + attribute(RTA_GATEWAY, bytes_of(::htonl(gateway)))},
          "rtnetlink(7) RTM_NEWROUTE default via " + to_string(gateway));
}

unsigned Netlink::route_prefix(Ipv4 address) {
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_dst_len = 32;
  route.rtm_flags = RTM_F_FIB_MATCH;  // The table's entry, not the path.
  Answer answer{};
  const int errnum = exchange(
      socket_,
      {RTM_GETROUTE, 0,
       bytes_of(route) + attribute(RTA_DST, bytes_of(::htonl(address)))},
      answer);
  if (errnum == ENETUNREACH) return 0;
  if (errnum != 0) return 32;  // For example a blackhole: in use.
  std::memcpy(&route, answer.data() + NLMSG_HDRLEN, sizeof route);
  return route.rtm_dst_len;
}

}  // namespace sys
