// Step 06 promises interfaces of its own, and a cable to the host that works in
// both directions. As root, the tests run in a network namespace that stands
// for the host: see main in common/host_test.cpp.

#include "common/host_test.hpp"

#include <fstream>
#include <memory>
#include <set>

using host::Caller, host::must, host::shell, host::step;

TEST_SUITE_BEGIN("06-netns-veth");

namespace {

const std::string kStep = "06-netns-veth";

// In the container: the host's address, which is that of the default route.
const std::string kGateway =
    "$(ip route | sed -n \"s/default via \\([0-9.]*\\).*/\\1/p\")";

std::string first_word(const std::string& text) {
  return text.substr(0, text.find_first_of(" /\n"));
}

// Has the host forward packets, as one with Docker on it does already, and
// gives the setting back.
class Forwarding {
 public:
  Forwarding() { set("1"); }
  Forwarding(const Forwarding&) = delete;
  Forwarding& operator=(const Forwarding&) = delete;
  ~Forwarding() { set(before_); }

  static void set(const std::string& value) { std::ofstream{kPath} << value; }

 private:
  static constexpr const char* kPath = "/proc/sys/net/ipv4/ip_forward";
  std::string before_ = first_word(host::contents(kPath));
};

// The address of eth0, as the container knows it.
const std::string kAddress =
    "ip -4 -o addr show eth0 | sed \"s/.*inet "
    "\\([0-9.]*\\).*/\\1/\"";

}  // namespace

TEST_AS_ROOT("ping answers both ways") {
  host::Running box{step(Caller::kRoot, kStep) + "sh -c '" + kAddress +
                    "; ping -qc1 -W5 " + kGateway +
                    " >/dev/null && echo pong; "
                    "read wait'"};
  const auto address = box.hear();
  CHECK(address.starts_with("10.199."));
  CHECK(box.hear() == "pong");
  CHECK(shell("busybox ping -qc1 -W5 " + address).status == 0);
  box.finish();
}

TEST_AS_ROOT("it has lo and eth0, both up, and a default route") {
  const auto result =
      shell(step(Caller::kRoot, kStep) +
            "sh -c 'ls /sys/class/net; ping -qc1 127.0.0.1 >/dev/null && echo "
            "lo; ip route | wc -l'");
  CHECK(result.out == "eth0\nlo\nlo\n2\n");
  // Two addresses, no more: else it believes its neighbours to be on its cable.
  CHECK(shell(step(Caller::kRoot, kStep) + "ip addr show eth0")
            .out.find("/30 ") != std::string::npos);
}

// CVE-2020-13401 of Docker: what is inside advertises itself as the host's
// IPv6 router.
TEST_AS_ROOT("the host takes no routes from it, and forwards nothing of it") {
  const Forwarding forwarding;
  host::Running other{step(Caller::kRoot, kStep) + "sh -c '" + kAddress +
                      "; read wait'"};
  const auto address = other.hear();
  CHECK(shell("busybox ping -qc1 -W5 " + address).status == 0);
  const std::string ping = "ping -qc1 -W1 ";
  {
    INFO("ping to another container");
    CHECK(shell(step(Caller::kRoot, kStep) + ping + address).status == 1);
  }
  CHECK(shell("ip -6 addr show | grep -A1 box | grep -c inet6").out == "0\n");
  // The second one's link may be going at this moment.
  const auto rp_filter =
      shell("cat /proc/sys/net/ipv4/conf/box*/rp_filter | sort -u").out;
  CHECK(rp_filter == "1\n");
  {
    INFO("ping to another container, with --net nat");
    CHECK(shell(step(Caller::kRoot, kStep, "--net nat") + ping + address)
              .status == 1);
  }
  other.finish();
}

TEST_AS_ROOT("the cable's end is on the host meanwhile, and gone afterwards") {
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

TEST_AS_BOTH("its network namespace is its own") {
  const auto inside = shell(step(caller, kStep) + "readlink /proc/self/ns/net");
  CHECK(inside.out.starts_with("net:["));
  CHECK(inside.out != shell("readlink /proc/self/ns/net").out);
}

TEST_AS_BOTH("--net none has lo, and that is up") {
  CHECK(shell(step(caller, kStep, "--net none") +
              "sh -c 'ls /sys/class/net; ping -qc1 127.0.0.1 >/dev/null && "
              "echo up; ip route | wc -l'")
            .out == "lo\nup\n0\n");
}

TEST_AS_BOTH("--net host is the host's network, and no /sys") {
  const auto result =
      shell(step(caller, kStep, "--net host") +
            "sh -c 'readlink /proc/self/ns/net; ls /sys | wc -l'");
  CHECK(result.out == shell("readlink /proc/self/ns/net").out + "0\n");
}

TEST_AS_USER("an ordinary user gets lo, and is told why") {
  const auto result = shell(step(Caller::kUser, kStep) + "ls /sys/class/net");
  CHECK(result.out == "lo\n");
  CHECK(result.err ==
        "06-netns-veth: no cable, only lo: plugging one into the host takes "
        "root (sudo)\n");
}

TEST_AS_USER("what an ordinary user asks for and cannot have is an error") {
  for (const std::string net : {"veth", "nat"}) {
    const auto result =
        shell(step(Caller::kUser, kStep, "--net " + net) + "echo ran");
    CHECK(result.status == 125);
    CHECK(result.out.empty());
    CHECK(host::lines(result.err).size() == 1);
  }
  CHECK(shell(step(Caller::kUser, kStep, "--net lan") + "true").status == 125);
}

TEST_AS_ROOT("/sys shows its own interfaces, not the host's") {
  must("ip link add a-bridge type bridge");
  CHECK(shell(step(Caller::kRoot, kStep) + "ls /sys/class/net").out ==
        "eth0\nlo\n");
  must("ip link delete a-bridge");
  CHECK(shell(step(Caller::kRoot, kStep) + "cat /proc/self/mounts")
            .out.find(" /sys sysfs ro,nosuid,nodev,noexec") !=
        std::string::npos);
}

TEST_AS_ROOT("a hundred at once have a hundred addresses") {
  std::vector<std::unique_ptr<host::Running>> boxes;
  std::set<std::string> addresses;
  for (int i = 0; i < 100; ++i)
    boxes.push_back(std::make_unique<host::Running>(
        step(Caller::kRoot, kStep) + "sh -c '" + kAddress + "; read wait'"));
  for (const auto& box : boxes) addresses.insert(box->hear());
  CHECK(addresses.size() == 100);
  CHECK(addresses.count("") == 0);
  for (const auto& box : boxes) CHECK(box->finish() == 1);
}

TEST_AS_ROOT("a block that the host has a route to is left alone") {
  const auto net = [] {
    return first_word(
        shell(step(Caller::kRoot, kStep) + "sh -c '" + kAddress + "'").out);
  };
  must("ip link add taken type bridge; ip link set taken up");
  CHECK(net().starts_with("10.199."));
  must("ip route add 10.0.0.0/8 dev taken");
  CHECK(net().starts_with("172.29."));
  must("ip route add 172.16.0.0/12 dev taken");
  CHECK(net().starts_with("192.168."));
  must("ip route add unreachable 192.168.192.0/18");
  const auto result = shell(step(Caller::kRoot, kStep) + "echo ran");
  CHECK(result.status == 125);
  CHECK(result.out.empty());
  CHECK(host::lines(result.err).size() == 1);
  CHECK(shell(step(Caller::kRoot, kStep, "--net none") + "echo ran").out ==
        "ran\n");
  must("ip route del unreachable 192.168.192.0/18; ip link delete taken");
}

TEST_AS_ROOT("--net nat lets it out, under the host's address, and undoes it") {
  // Behind up0 lies the rest of the world, which knows the host's address only.
  host::Running world{"unshare --net sh -c 'echo ready; read wait'"};
  CHECK(world.hear() == "ready");
  const auto inside =
      "nsenter --net -t " + std::to_string(world.pid()) + " ip ";
  const Forwarding forwarding;
  must("ip link add up0 type veth peer name up1 netns " +
       std::to_string(world.pid()) +
       "; ip addr add 198.51.100.1/24 dev up0; ip link set up0 up; " + inside +
       "addr add 198.51.100.2/24 dev up1; " + inside + "link set up1 up");
  const std::string rules = "nft list ruleset | grep -c masquerade";
  const std::string ping = "ping -qc1 -W2 198.51.100.2";
  CHECK(shell(step(Caller::kRoot, kStep, "--net veth") + ping).status == 1);
  CHECK(shell(step(Caller::kRoot, kStep, "--net nat") + ping).status == 0);
  CHECK(shell(rules).out == "0\n");
  Forwarding::set("0");
  const auto result = shell(step(Caller::kRoot, kStep, "--net nat") + ping);
  CHECK(result.status == 125);
  CHECK(result.err.find("ip_forward=1") != std::string::npos);
  must("ip link delete up0");
}

TEST_SUITE_END();
