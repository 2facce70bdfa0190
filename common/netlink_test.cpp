#include "common/netlink.hpp"

#include <doctest/doctest.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <string>
#include <thread>

#include "common/diagnosis/causes.hpp"
#include "common/error.hpp"
#include "common/process.hpp"
#include "common/testing.hpp"

namespace {

constexpr sys::Ipv4 address(unsigned a, unsigned b, unsigned c, unsigned d) {
  return a << 24U | b << 16U | c << 8U | d;
}

bool is_there(const std::string& link) {
  return ::if_nametoindex(link.c_str()) != 0;
}

// Both ends in this network namespace, and up. A link's address brings the
// route to its subnet along.
void make_links(sys::Netlink& netlink) {
  REQUIRE(netlink.add_veth("here", "there", ::gettid()));
  netlink.set_up("here");
  netlink.set_up("there");
}

void add_subnet(sys::Netlink& netlink, const std::string& link, sys::Ipv4 own,
                unsigned prefix) {
  netlink.add_peer_address(link, own, own, prefix);
}

template <std::invocable Body>
void in_private_network(const Body& body) {
  testing::in_namespaces(CLONE_NEWNET, body);
}

}  // namespace

TEST_SUITE_BEGIN("common/netlink");

TEST_CASE("an address is written with dots") {
  CHECK(sys::to_string(0x0a000001) == "10.0.0.1");
  CHECK(sys::to_string(0) == "0.0.0.0");
  CHECK(sys::to_string(0xffffffff) == "255.255.255.255");
  CHECK(sys::to_string(address(192, 168, 0, 255)) == "192.168.0.255");
}

TEST_CASE("anybody may ask which way packets go") {
  sys::Netlink netlink;
  CHECK(netlink.route_prefix(address(127, 0, 0, 1)) <= 32);
  CHECK_THROWS_AS(netlink.set_up("no-such-link"), sys::Error);
}

TEST_CASE("a link that is not there is named" *
          doctest::skip(::geteuid() != 0)) {
  in_private_network([] {
    sys::Netlink netlink;
    const auto error =
        testing::error_of([&] { netlink.add_peer_address("eth0", 1, 2); });
    CHECK(error.attempt().text == "if_nametoindex(3) eth0");
    CHECK(error.code() == std::errc::no_such_device);
  });
}

TEST_CASE("add_veth puts one end here and one in the other's namespace" *
          doctest::skip(::geteuid() != 0)) {
  in_private_network([] {
    sys::Gate<> gate;
    auto other = sys::clone(CLONE_NEWNET, [&] {
      gate.wait();
      ::_exit(is_there("inside") && !is_there("outside") ? 0 : 1);
    });
    CHECK(sys::Netlink{}.add_veth("outside", "inside", other.pid()));
    CHECK(is_there("outside"));
    CHECK_FALSE(is_there("inside"));
    gate.open();
    CHECK(other.wait() == 0);
  });
}

TEST_CASE("a link's name can be claimed once" *
          doctest::skip(::geteuid() != 0)) {
  in_private_network([] {
    sys::Netlink netlink;
    CHECK(netlink.add_veth("box7", "first", ::gettid()));
    CHECK_FALSE(netlink.add_veth("box7", "second", ::gettid()));
    CHECK_FALSE(is_there("second"));
    CHECK(netlink.add_veth("box8", "second", ::gettid()));
  });
}

TEST_CASE("a cable into nowhere is an error, and what does without is said" *
          doctest::skip(::geteuid() != 0)) {
  in_private_network([] {
    auto ended = sys::clone(0, [] {});
    CHECK(ended.wait() == 0);
    const auto error = testing::error_of(
        [&] { sys::Netlink{}.add_veth("box7", "eth0", ended.pid()); });
    CHECK(error.attempt().text.find(
              "box7 on the host, eth0 in the network namespace of") !=
          std::string::npos);
    CHECK(sys::hint_of(error).ends_with(": --net none"));
    CHECK_FALSE(is_there("box7"));
  });
}

TEST_CASE("route_prefix is 0 for no route, and for a default route" *
          doctest::skip(::geteuid() != 0)) {
  in_private_network([] {
    sys::Netlink netlink;
    CHECK(netlink.route_prefix(address(198, 51, 100, 1)) == 0);

    make_links(netlink);
    add_subnet(netlink, "here", address(192, 0, 2, 1), 24);
    CHECK(netlink.route_prefix(address(198, 51, 100, 1)) == 0);
    netlink.add_default_route(address(192, 0, 2, 2));
    CHECK(netlink.route_prefix(address(198, 51, 100, 1)) == 0);
  });
}

TEST_CASE("route_prefix tells how long the prefix of another route is" *
          doctest::skip(::geteuid() != 0)) {
  in_private_network([] {
    sys::Netlink netlink;
    make_links(netlink);
    add_subnet(netlink, "here", address(192, 0, 2, 1), 24);
    add_subnet(netlink, "there", address(10, 9, 8, 7), 14);
    CHECK(netlink.route_prefix(address(192, 0, 2, 77)) == 24);
    CHECK(netlink.route_prefix(address(192, 0, 2, 1)) == 32);  // Our own.
    CHECK(netlink.route_prefix(address(10, 10, 0, 1)) == 14);
  });
}

TEST_CASE("a default route leads through a gateway that can be reached" *
          doctest::skip(::geteuid() != 0)) {
  in_private_network([] {
    const auto error = testing::error_of(
        [] { sys::Netlink{}.add_default_route(address(10, 0, 0, 1)); });
    CHECK(error.attempt().text ==
          "rtnetlink(7) RTM_NEWROUTE default via 10.0.0.1");
    CHECK(error.code() == std::errc::network_unreachable);
  });
}

TEST_CASE("a peer address makes a route to one address, and to none beside it" *
          doctest::skip(::geteuid() != 0)) {
  in_private_network([] {
    sys::Netlink netlink;
    make_links(netlink);
    netlink.add_peer_address("here", address(10, 199, 0, 1),
                             address(10, 199, 0, 2));
    CHECK(netlink.route_prefix(address(10, 199, 0, 2)) == 32);
    for (const unsigned beside : {0U, 3U})
      CHECK(netlink.route_prefix(address(10, 199, 0, beside)) == 0);
    const auto error = testing::error_of([&] {
      netlink.add_peer_address("here", address(10, 199, 0, 1),
                               address(10, 199, 0, 2));
    });
    CHECK(error.attempt().text ==
          "rtnetlink(7) RTM_NEWADDR here: 10.199.0.1 with the peer 10.199.0.2");
    CHECK(error.code() == std::errc::file_exists);
  });
}

namespace {

// What a kernel would say: `errnum` to the request with this number.
void answer(const sys::Fd& socket, std::uint32_t number, int errnum) {
  struct {
    nlmsghdr header;
    nlmsgerr result;
  } message{};
  message.header.nlmsg_len = sizeof message;
  message.header.nlmsg_type = NLMSG_ERROR;
  message.header.nlmsg_seq = number;
  message.result.error = -errnum;
  (void)!::send(socket.get(), &message, sizeof message, 0);
}

}  // namespace

TEST_CASE("a signal and a late answer to another request change nothing") {
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) {};  // Without SA_RESTART.
  REQUIRE(::sigaction(SIGUSR1, &action, &before) == 0);
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()) == 0);
  const sys::Fd kernel{ends[1]};
  sys::Netlink netlink{sys::Fd{ends[0]}};
  std::thread answers{[&, caller = ::pthread_self()] {
    for (int request = 0; request < 2; ++request) {
      nlmsghdr header{};
      (void)!::recv(kernel.get(), &header, sizeof header, 0);
      // By now it waits in recv(2), or else no signal would interrupt it.
      std::this_thread::sleep_for(std::chrono::milliseconds{50});
      ::pthread_kill(caller, SIGUSR1);
      std::this_thread::sleep_for(std::chrono::milliseconds{50});
      answer(kernel, header.nlmsg_seq - 1, EPERM);
      answer(kernel, header.nlmsg_seq, request == 0 ? 0 : EEXIST);
    }
  }};
  CHECK_NOTHROW(netlink.set_up("lo"));
  const auto error = testing::error_of([&] { netlink.set_up("lo"); });
  CHECK(error.code().value() == EEXIST);
  answers.join();
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_SUITE_END();
