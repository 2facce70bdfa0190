// Step 06 promises interfaces of its own, and a cable to the host that works in
// both directions. As root, the tests run in a network namespace that stands
// for the host: see main in steps/tests/host.cpp.

#include "common/testing.hpp"
#include "steps/tests/host.hpp"
#include "steps/tests/mounts.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>

using host::Caller, host::Fails, host::Kept, host::Pieces, host::must,
    host::shell, host::step;

TEST_SUITE_BEGIN("06-netns-veth");

namespace {

const std::string kStep = "06-netns-veth";

// In the container: the address of the host's end.
const std::string kGateway =
    "$(ip -4 -o addr show eth0 | sed \"s,.* peer \\([0-9.]*\\).*,\\1,\")";

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::string first_word(const std::string& text) {
  return text.substr(0, text.find_first_of(" /\n"));
}

// Has the host forward packets, as one with Docker on it does already, and
// gives the setting back.
class Forwarding {
 public:
  Forwarding() { set("1"); }
  // A program that turns it off breaks the networks of the host.
  static bool is_on() { return first_word(host::contents(kPath)) == "1"; }
  Forwarding(const Forwarding&) = delete;
  Forwarding& operator=(const Forwarding&) = delete;
  ~Forwarding() { set(before_); }

  static void set(const std::string& value) { std::ofstream{kPath} << value; }

 private:
  static constexpr const char* kPath = "/proc/sys/net/ipv4/ip_forward";
  std::string before_ = first_word(host::contents(kPath));
};

// The address of eth0, as the container knows it.
// A line in any case: a test waits long for one that does not come.
const std::string kAddress =
    "{ ip -4 -o addr show eth0 | sed \"s/.*inet "
    "\\([0-9.]*\\).*/\\1/\" | grep . || echo none; }";

// A neighbour of the host, 198.51.100.2, in a network namespace. It has made
// itself routes to all containers by way of the host, which is 198.51.100.1.
class Neighbour {
 public:
  explicit Neighbour(const std::string& link = "up0",
                     const std::string& net = "198.51.100.")
      : link_{link} {
    REQUIRE(program_.hear() == "ready");
    must("ip link add " + link + " type veth peer name eth0 netns " +
         std::to_string(program_.pid()) + "; ip addr add " + net + "1/24 dev " +
         link + "; ip link set " + link + " up");
    for (const std::string& line : std::vector<std::string>{
             "link set lo up", "addr add " + net + "2/24 dev eth0",
             "link set eth0 up", "route add 10.0.0.0/8 via " + net + "1",
             "route add 172.16.0.0/12 via " + net + "1",
             "route add 192.168.0.0/16 via " + net + "1"})
      must(runs("ip " + line));
  }
  Neighbour(const Neighbour&) = delete;
  Neighbour& operator=(const Neighbour&) = delete;
  ~Neighbour() { shell("ip link delete " + link_); }

  // The line by which it runs a command.
  [[nodiscard]] std::string runs(const std::string& command) const {
    return "nsenter --net -t " + std::to_string(program_.pid()) + " " + command;
  }
  [[nodiscard]] pid_t pid() const { return program_.pid(); }

 private:
  std::string link_;
  host::Running program_{"unshare --net sh -c 'echo ready; read wait'"};
};

// The echo requests, TCP segments and UDP datagrams that came into the network
// of a process: "1 0 2".
std::string arrived(pid_t pid) {
  std::map<std::string, std::vector<long>> counts;  // Of each protocol.
  for (const auto& line : host::lines(
           host::contents("/proc/" + std::to_string(pid) + "/net/snmp"))) {
    std::istringstream words{line};
    std::string protocol;
    words >> protocol;
    for (long count = 0; words >> count;) counts[protocol].push_back(count);
  }
  const auto of = [&](const char* protocol, std::size_t number) {
    return testing::nth(counts[protocol], number);
  };
  return std::to_string(of("Icmp:", 0)) + " " + std::to_string(of("Tcp:", 9)) +
         " " + std::to_string(of("Udp:", 0) + of("Udp:", 1));
}

// Tries to reach an address in three ways; `as` is the sender of the first.
std::string knock(const std::string& address, const std::string& as) {
  return "bash -c 'busybox ping -qc1 -W1 -I " + as + " " + address +
         " & timeout 1 bash -c \"echo >/dev/tcp/" + address +
         "/80\" & echo >/dev/udp/" + address + "/53; wait' >/dev/null 2>&1";
}

// In the container: whether an address answers. No program listens at its port
// 9, so the answer is a refusal. (In 08, the ping of busybox is not permitted.)
std::string ask(const std::string& address, int seconds) {
  return "nc -w" + std::to_string(seconds) + " " + address +
         " 9 2>&1 | grep -q refused";
}

// A program in the place of another one, first in PATH.
std::string pretend(const std::string& name, const std::string& script) {
  auto directory = host::scratch("path");
  std::ofstream{directory + "/" + name} << "#!/bin/sh\n" << script << "\n";
  must("chmod +x '" + directory + "/" + name + "'");
  return directory;
}

}  // namespace

PROMISE_AS_ROOT(
    "both ends of the cable answer", Kept{"06-08"}, Pieces{"The cable"},
    Fails{"We connect to a closed port of the host's end, and ping the "
          "container, and expect both to answer, because the cable connects "
          "both sides."}) {
  host::Running box{step(Caller::kRoot, kStep) + "sh -c '" + kAddress + "; " +
                    ask(kGateway, 5) +
                    " && echo answer || echo none; read wait'"};
  const auto address = box.hear();
  REQUIRE_MESSAGE(address.starts_with("10.199."),
                  "eth0 of the container has no address of 10.199.0.0/18");
  const auto of_host = shell("ip -4 -o addr show | grep -o ' box.*'").out;
  REQUIRE_MESSAGE(of_host != "", "the host's end, boxN, has no address");
  CHECK_MESSAGE(box.hear() == "answer",
                "the host's end does not answer. The host has" << of_host);
  CHECK_MESSAGE(shell("busybox ping -qc1 -W5 " + address).status == 0,
                "the container does not answer. The host has" << of_host);
  box.finish();
}

PROMISE_AS_ROOT("it has lo and eth0, both up, and no route past the host's end",
                Kept{"06-08"}, Pieces{"The cable", "/sys and the way out"},
                Fails{"We list the interfaces and routes of the container and "
                      "expect lo, eth0 and one route to one address, because "
                      "it must reach only the host's end."}) {
  const auto result =
      shell(step(Caller::kRoot, kStep) + "sh -c 'ls /sys/class/net; " +
            ask("127.0.0.1", 5) + " && echo lo; ip route | wc -l'");
  CHECK(result.out == "eth0\nlo\nlo\n1\n");
  // To one address, no more: else it believes its neighbours to be on its
  // cable. A route to several has a / behind the first of them.
  host::Running box{
      step(Caller::kRoot, kStep) +
      "sh -c 'ip route; cat /proc/sys/net/ipv4/conf/eth0/rp_filter; "
      "read wait'"};
  const auto of_box = box.hear();
  CHECK_MESSAGE(of_box.find('/') == std::string::npos,
                "a route leads to more than one address: " << of_box);
  const auto rp_filter = box.hear();
  CHECK_MESSAGE(rp_filter == "1",
                "rp_filter of eth0 is not 1, but " << rp_filter);
  const auto of_host = shell("ip route | grep ' box'").out;
  CHECK_MESSAGE((of_host != "" && of_host.find('/') == std::string::npos),
                "the host's route to the container is one to more than one "
                "address, or there is none: "
                    << of_host);
  box.finish();
}

// CVE-2020-13401 of Docker: what is inside advertises itself as the host's
// IPv6 router.
PROMISE_AS_ROOT(
    "the host takes no routes from it, and forwards nothing of it",
    Kept{"06-08"}, Pieces{"Nothing new comes in"},
    Fails{
        "We connect from one container to another through the host and expect "
        "no answer, because the host must not trust the container as a "
        "router."}) {
  const Forwarding forwarding;
  host::Running other{step(Caller::kRoot, kStep) + "sh -c '" + kAddress +
                      "; read wait'"};
  const auto address = other.hear();
  CHECK(shell("busybox ping -qc1 -W5 " + address).status == 0);
  const auto asks = " sh -c '" + ask(address, 1) + "'";
  CHECK_MESSAGE(shell(step(Caller::kRoot, kStep) + asks).status == 1,
                "one container can reach another one");
  CHECK_MESSAGE(
      shell("ip -6 addr show | grep -A1 box | grep -c inet6").out == "0\n",
      "the host's end of the cable has IPv6: see disable_ipv6");
  // The second one's link may be going at this moment.
  const auto rp_filter =
      shell("cat /proc/sys/net/ipv4/conf/box*/rp_filter | sort -u").out;
  CHECK_MESSAGE(
      rp_filter == "1\n",
      "rp_filter of the host's end of the cable is not 1, but " << rp_filter);
  const auto forwards =
      shell("cat /proc/sys/net/ipv4/conf/box*/forwarding | sort -u").out;
  CHECK_MESSAGE(forwards == "0\n",
                "the host's end of the cable forwards: see forwarding");
  CHECK_MESSAGE(Forwarding::is_on(), "the host itself no longer forwards");
  other.finish();
}

PROMISE_AS_ROOT(
    "with --net nat, too, one container does not reach another one",
    Kept{"06-08"}, Pieces{"/sys and the way out"},
    Fails{"We connect from a container with --net nat to another one and "
          "expect no answer, because the way out is no way to the neighbours "
          "in the host."}) {
  const Forwarding forwarding;
  host::Running other{step(Caller::kRoot, kStep) + "sh -c '" + kAddress +
                      "; read wait'"};
  const auto address = other.hear();
  CHECK(shell("busybox ping -qc1 -W5 " + address).status == 0);
  CHECK_MESSAGE(shell(step(Caller::kRoot, kStep, "--net nat") + "sh -c '" +
                      ask(address, 1) + "'")
                        .status == 1,
                "one container can reach another one");
  other.finish();
}

PROMISE_AS_ROOT(
    "the cable's end is on the host meanwhile, and gone afterwards",
    Kept{"06-08"}, Pieces{"The cable"},
    Fails{
        "We list the links of the host and expect one boxN while the container "
        "runs, and none afterwards, because the container owns the cable."}) {
  const std::string links = "ip -o link show type veth | wc -l";
  const auto are_gone = [&](pid_t) { return shell(links).out == "0\n"; };
  CHECK(host::eventually(are_gone, 0));  // Those of the test before, too.
  host::Running box{step(Caller::kRoot, kStep) + "sh -c 'echo up; read wait'"};
  CHECK(box.hear() == "up");
  CHECK(shell(links).out == "1\n");
  CHECK(shell("ip -o link").out.find(" box") != std::string::npos);
  box.finish();
  CHECK(host::eventually(are_gone, 0));
}

PROMISE_AS_BOTH("its network namespace is its own", Kept{"06-08", "06 08"},
                Pieces{"Separate interfaces"},
                Fails{"We read /proc/self/ns/net on both sides and expect two "
                      "different namespaces, because a shared one lets the "
                      "container see all traffic of the host."}) {
  const auto inside = shell(step(caller, kStep) + "readlink /proc/self/ns/net");
  CHECK_MESSAGE(inside.out.starts_with("net:["),
                "the container cannot read this link in its /proc");
  CHECK(inside.out != shell("readlink /proc/self/ns/net").out);
}

PROMISE_AS_BOTH(
    "--net none has lo, and that is up", Kept{"06-08", "06 08"},
    Pieces{"Separate interfaces", "/sys and the way out"},
    Fails{
        "We run the step with --net none and expect only lo, without a route, "
        "and an answer from 127.0.0.1, because programs need lo."}) {
  CHECK(shell(step(caller, kStep, "--net none") + "sh -c 'ls /sys/class/net; " +
              ask("127.0.0.1", 5) + " && echo up; ip route | wc -l'")
            .out == "lo\nup\n0\n");
}

PROMISE_AS_BOTH("--net host is the host's network, and no /sys",
                Kept{"06-08", "06 08"}, Pieces{"Separate interfaces"},
                Fails{"We run the step with --net host and expect the host's "
                      "network namespace and an empty /sys, because a sysfs of "
                      "the host tells too much."}) {
  const auto result =
      shell(step(caller, kStep, "--net host") +
            "sh -c 'readlink /proc/self/ns/net; ls /sys | wc -l'");
  CHECK(result.out == shell("readlink /proc/self/ns/net").out + "0\n");
}

PROMISE_AS_BOTH(
    "all groups of the container may ping without a capability", Kept{"06"},
    Pieces{"Nothing new comes in"},
    Fails{"We read ping_group_range and expect all groups that the container "
          "has, because ping(8) then needs no capability."}) {
  const std::string file = "/proc/sys/net/ipv4/ping_group_range";
  const std::string net = "--net none";
  CHECK(shell(step(caller, kStep, net) + "cat " + file).out == "0\t0\n");
  if (caller == Caller::kRoot)
    CHECK(shell(step(caller, kStep) + "cat " + file).out == "0\t65535\n");
}

PROMISE_AS_USER(
    "an ordinary user gets lo, and is told why", Kept{"06"},
    Pieces{"Separate interfaces", "/sys and the way out"},
    Fails{"An ordinary user runs the step without --net, and we expect only lo "
          "and a note, because only root can plug a cable into the host."}) {
  const auto result = shell(step(Caller::kUser, kStep) + "ls /sys/class/net");
  CHECK(result.out == "lo\n");
  CHECK(result.err ==
        "06-netns-veth: no cable: only root can plug a cable into "
        "the host (sudo)\n");
}

PROMISE_AS_USER("what an ordinary user asks for and cannot have is an error",
                Kept{"06-07"}, Pieces{"The cable"},
                Fails{"An ordinary user asks for --net veth and --net nat, and "
                      "we expect status 125 and one line, because the command "
                      "must not run without its network."}) {
  for (const std::string net : {"veth", "nat"}) {
    const auto result =
        shell(step(Caller::kUser, kStep, "--net " + net) + "echo ran");
    CHECK(result.status == 125);
    CHECK(result.out.empty());
    CHECK(host::lines(result.err).size() == 1);
  }
  CHECK(shell(step(Caller::kUser, kStep, "--net lan") + "true").status == 125);
}

PROMISE_AS_ROOT(
    "/sys shows its own interfaces, not the host's", Kept{"06-08"},
    Pieces{"/sys and the way out"},
    Fails{
        "We list /sys/class/net in the container and expect its own interfaces "
        "on a read-only sysfs, because a sysfs of the host tells too much."}) {
  must("ip link add a-bridge type bridge");
  CHECK(shell(step(Caller::kRoot, kStep) + "ls /sys/class/net").out ==
        "eth0\nlo\n");
  must("ip link delete a-bridge");
  const auto lacks = host::lacks(
      shell(step(Caller::kRoot, kStep) + "grep ' /sys ' /proc/self/mounts").out,
      "/sys", "sysfs ro nosuid nodev noexec");
  CHECK_MESSAGE(lacks == "", lacks);
}

PROMISE_AS_ROOT("a hundred at once have a hundred addresses", Kept{"06-08"},
                Pieces{"The cable"},
                Fails{"We start a hundred containers at once and expect a "
                      "hundred different addresses, because two containers can "
                      "choose the same number at the same time."}) {
  std::vector<std::unique_ptr<host::Running>> boxes;
  std::set<std::string> addresses;
  for (int i = 0; i < 100; ++i)
    boxes.push_back(std::make_unique<host::Running>(
        step(Caller::kRoot, kStep) + "sh -c '" + kAddress + "; read wait'"));
  for (const auto& box : boxes) addresses.insert(box->hear());
  CHECK_MESSAGE(addresses.size() == 100,
                "the containers have only so many different addresses: "
                    << addresses.size());
  CHECK_MESSAGE(addresses.count("none") == 0, "a container has no address");
  for (const auto& box : boxes)
    CHECK_MESSAGE(box->finish() == 1, "a container did not start");
}

PROMISE_AS_ROOT("a block that the host has a route to is left alone",
                Kept{"06-08"}, Pieces{"The cable"},
                Fails{"We give the host a route to a block of addresses and "
                      "expect the container to use the next block, because the "
                      "host must still reach its own networks."}) {
  const auto net = [] {
    return first_word(
        shell(step(Caller::kRoot, kStep) + "sh -c '" + kAddress + "'").out);
  };
  must("ip link add taken type bridge; ip link set taken up");
  // A VPN's stand-in for a default route, in two halves.
  std::string routes;
  const auto expect = [&](const std::string& more, const std::string& block) {
    for (const auto& route : host::lines(more)) {
      must("ip route add " + route + " dev taken");
      routes += " " + route;
    }
    INFO("the host has only these routes more:" << routes);
    const auto address = net();
    CHECK_MESSAGE(address.starts_with(block),
                  "the container has no address of " << block << "x.x");
  };
  expect("0.0.0.0/1\n128.0.0.0/1", "10.199.");
  expect("10.0.0.0/8", "172.29.");
  expect("172.16.0.0/12", "192.168.");
  must("ip route add unreachable 192.168.192.0/18");
  const auto result = shell(step(Caller::kRoot, kStep) + "echo ran");
  CHECK_MESSAGE((result.status == 125 && result.out.empty()),
                "the host has a route to each of the three blocks, so the "
                "program has to end with status 125, without the command");
  CHECK(host::lines(result.err).size() == 1);
  CHECK(shell(step(Caller::kRoot, kStep, "--net none") + "echo ran").out ==
        "ran\n");
  must("ip route del unreachable 192.168.192.0/18; ip link delete taken");
}

// All numbers but one are taken: by a few links that have many names each.
PROMISE_AS_ROOT("a number that is taken is left, and the next one is tried",
                Kept{"06"}, Pieces{"The cable"},
                Fails{"The host has links with all names from box0 to box4095 "
                      "but one, and we expect the container to use that one, "
                      "because a name that is taken is no reason to end."}) {
  constexpr int kNumbers = 4096;
  constexpr int kFree = 1747;
  constexpr int kOfALink = 256;  // The kernel's limit is not far above.
  constexpr int kOfALine = 32;   // That of ip(8) is 100 words.
  const auto lines = host::scratch("names-of-links") + "/batch";
  std::ofstream file{lines};
  for (int number = 0; number < kNumbers; ++number) {
    const auto link = "names" + std::to_string(number / kOfALink);
    if (number % kOfALink == 0) file << "link add " << link << " type bridge";
    if (number % kOfALine == 0) file << "\nlink property add dev " << link;
    if (number != kFree) file << " altname box" << number;
    if (number % kOfALine == kOfALine - 1) file << "\n";
  }
  file.close();
  must("ip -batch " + lines);
  const auto result =
      shell(step(Caller::kRoot, kStep) + "sh -c '" + kAddress + "'");
  CHECK_MESSAGE(result.out.starts_with("10.199."),
                "the container has no cable, but the name box1747 is free");
  CHECK_MESSAGE(shell("ip -o link show type bridge | grep -c names").out ==
                    std::to_string(kNumbers / kOfALink) + "\n",
                "a link that had the name already is gone");
  file.open(lines);
  for (int link = 0; link < kNumbers / kOfALink; ++link)
    file << "link delete names" << link << "\n";
  file.close();
  shell("ip -force -batch " + lines);
}

// A program tries the numbers from one on that it has chosen: its PID, or 0.
PROMISE_AS_ROOT(
    "a subnet that a neighbour has is left alone, and only that one",
    Kept{"06"}, Pieces{"The cable"},
    Fails{"We give the host routes to one address of some subnets of a block "
          "and expect the container to use another one, because the host must "
          "still reach its own networks."}) {
  constexpr int kNumbers = 4096;
  constexpr int kTaken = 400;
  const auto net = [] {
    return first_word(
        shell(step(Caller::kRoot, kStep) + "sh -c '" + kAddress + "'").out);
  };
  const auto number_of = [](const std::string& address) {
    int high = 0;
    int low = 0;
    REQUIRE(std::sscanf(address.c_str(), "10.199.%d.%d", &high, &low) == 2);
    return (high * 256 + low) / 4;
  };
  const auto routes = host::scratch("routes-of-neighbours") + "/batch";
  // Routes to the first or to the second of the two addresses of each subnet.
  // The kernel takes a moment to remove the route of a container that has
  // ended.
  const auto all = [&](const std::string& verb, int first, int which) {
    std::ofstream file{routes};
    for (int i = 0; i < kTaken; ++i) {
      const int number = (first + i + kNumbers) % kNumbers;
      file << "route " << verb << " unreachable 10.199." << number / 64 << "."
           << number % 64 * 4 + which << "/32\n";
    }
    file.close();
    CHECK(host::eventually(
        [](pid_t) { return shell("ip -o link | grep ' box'").status == 1; },
        0));
    must("ip -batch " + routes);
  };
  for (const int which : {1, 2}) {
    const int before = number_of(net());
    all("add", before, which);
    const auto address = net();
    CHECK_MESSAGE(address.starts_with("172.29."),
                  "it uses a subnet of a neighbour: " << address);
    all("del", before, which);
  }
  const int last = number_of(net());
  all("add", last - kTaken, 1);
  CHECK(net().starts_with("10.199."));
  all("del", last - kTaken, 1);
}

PROMISE_AS_ROOT(
    "--net nat lets it out, under the host's address, and undoes it",
    Kept{"06-08"}, Pieces{"/sys and the way out"},
    Fails{
        "We connect to a neighbour of the host and expect an answer only with "
        "--net nat, and no rule of it afterwards, because the neighbour "
        "knows only the host's address."}) {
  // The neighbour has no route to the container here, as the world has none.
  const Forwarding forwarding;
  const Neighbour neighbour;
  for (const std::string net : {"10.0.0.0/8", "172.16.0.0/12"})
    must(neighbour.runs("ip route del " + net));
  const std::string rules =
      "{ nft list ruleset; iptables-save; } 2>&1 | grep -ciE "
      "\"masquerade|snat\"";
  const auto asks = [](int seconds) {
    return " sh -c '" + ask("198.51.100.2", seconds) + "'";
  };
  CHECK(shell(step(Caller::kRoot, kStep, "--net veth") + asks(2)).status == 1);
  {
    host::Running box{step(Caller::kRoot, kStep, "--net nat") +
                      "sh -c 'ip route | grep -c ^default; read go; " +
                      ask("198.51.100.2", 10) +
                      " && echo answer || echo none; read wait'"};
    REQUIRE_MESSAGE(box.hear() == "1", "the container has no default route");
    REQUIRE_MESSAGE(shell(rules).out != "0\n",
                    "while the container runs, no rule of the host replaces "
                    "its address: is there still a sys::Nat?");
    REQUIRE_MESSAGE(
        shell("cat /proc/sys/net/ipv4/conf/box*/forwarding").out == "1\n",
        "forwarding of boxN is 0, so the host forwards nothing. sys::Nat "
        "writes 1 to it: what writes 0 after that?");
    box.say("go on");
    CHECK_MESSAGE(box.hear() == "answer", "the neighbour does not answer");
    box.finish();
  }
  CHECK_MESSAGE(shell(rules).out == "0\n",
                "a rule of the host is left afterwards");
  Forwarding::set("0");
  const auto result = shell(step(Caller::kRoot, kStep, "--net nat") + asks(2));
  CHECK_MESSAGE(result.status == 125,
                "the host forwards no packets, and the program does not end, "
                "but changes a setting of the host or runs the command");
  CHECK_MESSAGE(result.err.find("hint: sysctl -w net.ipv4.ip_forward=1") !=
                    std::string::npos,
                "the program does not say that the host forwards no packets");
}

namespace {

// The neighbour sends to containers with these networks.
void check_that_nothing_new_comes_in(const std::set<std::string>& nets) {
  const Forwarding forwarding;
  const Neighbour neighbour;
  const std::string rp_filter = "/proc/sys/net/ipv4/conf/all/rp_filter";
  const std::string of_link = "/proc/sys/net/ipv4/conf/up0/rp_filter";
  const sys::Defer restore{[&, before = host::contents(rp_filter)] {
    std::ofstream{rp_filter} << before;
  }};
  struct Box {
    explicit Box(const std::string& net)
        : program{step(Caller::kRoot, kStep, "--net " + net) + "sh -c '" +
                  kAddress +
                  "; cat /proc/sys/net/ipv4/conf/eth0/rp_filter; read wait'"} {
      REQUIRE_MESSAGE(address != "none", "eth0 has no address");
      const auto rp_filter = program.hear();
      REQUIRE_MESSAGE(rp_filter == "1",
                      "rp_filter of eth0 is not 1, but " << rp_filter);
    }
    // An address so far from its own one.
    [[nodiscard]] std::string beside(int distance) const {
      const auto last = address.rfind('.') + 1;
      return address.substr(0, last) +
             std::to_string(testing::number(testing::behind(address, last)) +
                            distance);
    }
    host::Running program;
    std::string address = program.hear();
  };
  std::map<std::string, Box> boxes;
  for (const auto& net : nets) boxes.try_emplace(net, net);
  const auto nothing_came_in = [&] {
    for (const auto& [net, box] : boxes) {
      const auto counts = arrived(box.program.child());
      CHECK_MESSAGE(counts == "0 0 0",
                    "so many echo requests, TCP segments and UDP datagrams "
                    "came in: "
                        << counts << " (--net " << net << ")");
    }
  };
  nothing_came_in();
  // Under its own address and as others: another one of its, that of the
  // host's end, and the two beside the cable's. With rp_filter 1 the host would
  // drop the last three. Each waits a second for an answer, so all do at once.
  for (const std::string value : {"0", "2"}) {
    CAPTURE(value);
    must("echo " + value + " | tee " + rp_filter + " " + of_link);
    std::string all;
    for (const auto& [net, box] : boxes) {
      all += neighbour.runs(knock(box.address, "198.51.100.2")) + " & ";
      for (const std::string& as : {std::string{"203.0.113.7"}, box.beside(-2),
                                    box.beside(-1), box.beside(1)})
        all += neighbour.runs("sh -c 'ip addr add " + as +
                              "/32 dev lo; busybox ping -qc1 -W1 -I " + as +
                              " " + box.address + "' & ");
    }
    must(all + "wait");
    nothing_came_in();
    must(neighbour.runs("ip addr flush dev lo"));
  }
  // From the host itself it does, so it would have been counted.
  for (auto& [net, box] : boxes) {
    CAPTURE(net);
    const auto pid = box.program.child();
    shell(knock(box.address, box.beside(-1)));
    CHECK(host::eventually(
        [](pid_t one) { return arrived(one).ends_with(" 1"); }, pid));
    CHECK(arrived(pid).starts_with("1 1 "));
    box.program.finish();
  }
}

}  // namespace

PROMISE_AS_ROOT(
    "nothing that is new comes in, from whoever has a route to it",
    Kept{"06-08"}, Pieces{"Nothing new comes in"},
    Fails{
        "A neighbour of the host sends packets to the container and we expect "
        "none to arrive, because the container did not ask for them."}) {
  check_that_nothing_new_comes_in({"veth"});
}

PROMISE_AS_ROOT(
    "nothing that is new comes in with --net nat, either", Kept{"06-08"},
    Pieces{"/sys and the way out"},
    Fails{"A neighbour of the host sends packets to the container and we "
          "expect the host to drop them, because the container did not ask "
          "for them."}) {
  check_that_nothing_new_comes_in({"nat"});
}

// A rule that asks only for the source address would let a neighbour send as
// the container: then the host's end is the sender for other containers, which
// trust it, and their answers come to the container as if it had asked.
PROMISE_AS_ROOT(
    "--net nat trusts the cable, and not the source of a packet", Kept{"06"},
    Pieces{"/sys and the way out"},
    Fails{"A neighbour sends packets with the address of the container, and "
          "the container with a neighbour's, and we expect the host to forward "
          "none of them, because anyone can write the address of another "
          "sender."}) {
  const Forwarding forwarding;
  const std::string rp_filter = "/proc/sys/net/ipv4/conf/all/rp_filter";
  const sys::Defer restore{[&, before = host::contents(rp_filter)] {
    std::ofstream{rp_filter} << before;
  }};
  // Any route to a source will do, as on many a host.
  std::ofstream{rp_filter} << "2";
  for (const std::string tool : {"nft", "iptables"}) {
    CAPTURE(tool);
    const auto program = first_line(shell("command -v " + tool).out);
    if (program.empty()) {
      MESSAGE("not tried: there is no " << tool);
      continue;
    }
    const Neighbour neighbour;
    const Neighbour world{"up1", "203.0.113."};
    host::Running veth{step(Caller::kRoot, kStep, "--net veth") + "sh -c '" +
                       kAddress + "; read wait'"};
    const auto other = veth.hear();
    const auto path = host::scratch("only-" + tool);
    must("ln -sf " + program + " '" + path + "'");
    host::Running box{
        "env PATH='" + path + "' " + step(Caller::kRoot, kStep, "--net nat") +
        "/bin/sh -c 'PATH=/bin:/sbin:/usr/bin:/usr/sbin; " + kAddress +
        "; ping -qc1 -W5 198.51.100.2 >/dev/null && echo out || echo none; "
        "read wait; "
        "ip addr add 198.51.100.77/32 dev lo; "
        "ping -qc1 -W1 -I 198.51.100.77 198.51.100.2 >/dev/null; "
        "echo asked; read wait'"};
    const auto address = box.hear();
    REQUIRE(address.starts_with("10."));
    CHECK(box.hear() == "out");
    const auto before = arrived(box.child());
    // The neighbour as the container.
    must(neighbour.runs("ip addr add " + address + "/32 dev lo"));
    for (const std::string net : {"10.0.0.0/8", "203.0.113.0/24"})
      must(neighbour.runs("ip route replace " + net + " via 198.51.100.1 src " +
                          address));
    const auto heard = arrived(neighbour.pid());
    // The container as a neighbour, meanwhile.
    box.say("go on");
    shell(neighbour.runs(knock(other, address)) + " & " +
          neighbour.runs(knock("203.0.113.2", address)) + " & wait");
    CHECK(box.hear() == "asked");
    CHECK(arrived(veth.child()) == "0 0 0");
    CHECK(arrived(world.pid()) == "0 0 0");
    CHECK(arrived(box.child()) == before);
    CHECK(arrived(neighbour.pid()) == heard);
    CHECK(shell("busybox ping -qc1 -W5 " + other).status == 0);
    CHECK(arrived(veth.child()) == "1 0 0");
    box.finish();
    veth.finish();
    CHECK(shell("nft list ruleset; iptables-save").out.find("box") ==
          std::string::npos);
    // iptables(8) makes tables, and keeps them.
    shell("nft delete table ip filter; nft delete table ip nat");
  }
}

PROMISE_AS_ROOT(
    "what the host's root publishes does come in, with --net nat",
    Kept{"06-08"}, Pieces{"/sys and the way out"},
    Fails{"Root on the host redirects a port to the container and we expect a "
          "neighbour to reach it there, because root has published it."}) {
  const Forwarding forwarding;
  const Neighbour neighbour;
  host::Running box{step(Caller::kRoot, kStep, "--net nat") + "sh -c '" +
                    kAddress + "; nc -ll -p 80 -e echo published & read wait'"};
  const auto address = box.hear();
  must(
      "nft 'table ip mine { chain in { type nat hook prerouting priority "
      "-100; iifname up0 tcp dport 8080 dnat to " +
      address + ":80; }; }'");
  const auto listens = [&](pid_t) {
    return shell("busybox nc -w 1 " + address + " 80").out == "published\n";
  };
  CHECK(host::eventually(listens, 0));
  CHECK(shell(neighbour.runs("busybox nc -w 5 198.51.100.1 8080")).out ==
        "published\n");
  CHECK(
      shell(neighbour.runs("busybox nc -w 1 " + address + " 80")).out.empty());
  must("nft delete table ip mine");
  box.finish();
}

PROMISE_AS_ROOT(
    "each rule is undone, whenever TERM comes, and whichever fails", Kept{"06"},
    Pieces{"/sys and the way out"},
    Fails{
        "We end or break nft(8) while it works and expect no rule to be left, "
        "because a rule that is left changes the network of the host."}) {
  const Forwarding forwarding;
  const std::string tables = "nft list tables | grep -c box";
  const auto nft = first_line(shell("command -v nft").out);
  const auto run = [&](const std::string& script) {
    return shell("PATH='" + pretend("nft", script) + "':$PATH " +
                 step(Caller::kRoot, kStep, "--net nat") + "/bin/true");
  };
  for (const std::string& script : std::vector<std::string>{
           "kill -TERM $PPID; " + nft + " \"$@\"",
           nft + " \"$@\"; status=$?; kill -TERM $PPID; exit $status"}) {
    CAPTURE(script);
    CHECK(run(script).status == 128 + SIGTERM);
    CHECK(shell(tables).out == "0\n");
  }
  // It fails before its work, after it, and is killed after it.
  for (const std::string& script : std::vector<std::string>{
           "echo no rules today >&2; exit 1",
           "case $* in *masq*) " + nft +
               " \"$@\"; echo no rules today >&2; exit 1; esac; exec " + nft +
               " \"$@\"",
           "case $* in *masq*) " + nft + " \"$@\"; kill -KILL $$; esac; exec " +
               nft + " \"$@\""}) {
    CAPTURE(script);
    const auto result = run(script);
    CHECK(result.status == 125);
    CHECK(host::lines(result.err).size() == 1);
    CHECK(
        result.err.starts_with("06-netns-veth: cannot let the container out: "
                               "nft: "));
    CHECK(shell(tables).out == "0\n");
  }
}

PROMISE_AS_ROOT(
    "without nft five rules of iptables, the last one undone first", Kept{"06"},
    Pieces{"/sys and the way out"},
    Fails{
        "We run --net nat with iptables(8) alone, which fails at each rule "
        "once, and expect each rule that was added to be removed, the last one "
        "first, because a rule that is left changes the host's network."}) {
  const Forwarding forwarding;
  const auto log = host::scratch("iptables") + "/log";
  constexpr int kRules = 5;
  for (int fails = 1; fails <= kRules + 1; ++fails) {
    CAPTURE(fails);
    must("rm -f '" + log + "'");
    const auto path = pretend(
        "iptables", "echo \"$@\" >>'" + log + "'; [ \"$(/bin/grep -c -e -I '" +
                        log + "')\" != " + std::to_string(fails) +
                        " ] || case $* in *-I*) exit 1; esac");
    must("rm -f '" + path + "/nft'");
    const auto result =
        shell("PATH='" + path + "' " + step(Caller::kRoot, kStep, "--net nat") +
              "/bin/true");
    CHECK(result.status == (fails > kRules ? 0 : 125));
    CHECK(host::lines(result.err).size() == (fails > kRules ? 0 : 1));
    std::vector<std::string> added;
    std::vector<std::string> removed;
    for (auto line : host::lines(host::contents(log))) {
      const auto at = line.find(" -I ");
      auto& side = at != std::string::npos ? added : removed;
      if (at != std::string::npos) line.replace(at, 4, " -D ");
      side.push_back(line);
    }
    CHECK(added.size() == std::min(fails, kRules));
    std::reverse(added.begin(), added.end());
    CHECK(added == removed);
  }
}

TEST_SUITE_END();
