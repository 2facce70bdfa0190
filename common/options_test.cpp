#include "common/options.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/error.hpp"
#include "common/process.hpp"
#include "common/testing.hpp"

namespace {

// A command line with a life of its own, as main() is given one.
class CommandLine {
 public:
  CommandLine(std::initializer_list<const char*> words)
      : words_{words.begin(), words.end()} {
    words_.insert(words_.begin(), "program");
    for (auto& word : words_) pointers_.push_back(word.data());
    pointers_.push_back(nullptr);
  }

  sys::Arguments parse(std::vector<std::string_view> options) {
    return sys::parse_arguments(
        static_cast<int>(words_.size()), pointers_.data(),
        {.gives = "", .man_pages = "", .options = std::move(options)});
  }

 private:
  std::vector<std::string> words_;
  std::vector<char*> pointers_;
};

// For a program that knows all options.
sys::Arguments parse(std::initializer_list<const char*> words) {
  return CommandLine{words}.parse({"--hostname", "--bind", "--read-only",
                                   "--net", "--memory", "--pids", "--cpus",
                                   "--env", "--user", "--without"});
}

std::vector<std::string> command_of(std::initializer_list<const char*> words) {
  // Here the words have to live until the command has been looked at.
  CommandLine line{words};
  const auto args = line.parse({"--hostname"});
  std::vector<std::string> command;
  for (char** word = args.command; *word != nullptr; ++word)
    command.emplace_back(*word);
  return command;
}

// What is said about words that make no sense.
std::string complaint(std::initializer_list<const char*> words) {
  try {
    parse(words);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no complaint";
}

// Any directory is good for a rootfs here.
constexpr const char* kRootfs = "/tmp";

using Words = std::vector<std::string>;

}  // namespace

TEST_SUITE_BEGIN("common/options");

// ---- The command line ------------------------------------------------------

TEST_CASE("ROOTFS and COMMAND are the first words that are no options") {
  CHECK(parse({kRootfs, "ls", "-l"}).rootfs == kRootfs);
  CHECK(command_of({kRootfs, "ls", "-l"}) == Words{"ls", "-l"});
  CHECK(parse({"--hostname", "x", kRootfs, "ls"}).rootfs == kRootfs);
  CHECK(command_of({"--hostname", "x", kRootfs, "ls"}) == Words{"ls"});
}

TEST_CASE("an option behind ROOTFS belongs to the command") {
  CHECK(command_of({kRootfs, "--hostname", "x"}) == Words{"--hostname", "x"});
  CHECK(command_of({kRootfs, "ls", "--help"}) == Words{"ls", "--help"});
  CHECK(parse({kRootfs, "--hostname", "x"}).hostname == "box");
}

TEST_CASE("-- ends the options, and is taken away once") {
  CHECK(parse({"--", kRootfs}).rootfs == kRootfs);
  CHECK(parse({"--hostname", "x", "--", kRootfs}).hostname == "x");
  CHECK(command_of({"--", kRootfs, "--", "x"}) == Words{"--", "x"});

  const testing::Directory directory;
  const auto before = std::filesystem::current_path();
  const sys::Defer go_back{[&] { std::filesystem::current_path(before); }};
  std::filesystem::current_path(directory.path());
  std::filesystem::create_directory("--strange");
  CHECK(parse({"--", "--strange"}).rootfs == "--strange");
}

TEST_CASE("without COMMAND it is a login shell") {
  CHECK(command_of({kRootfs}) == Words{"/bin/sh", "-l"});
}

TEST_CASE("without ROOTFS it is the one beside the program") {
  const auto beside =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "rootfs";
  if (std::filesystem::exists(beside)) {
    CHECK(parse({}).rootfs == beside);
  } else {
    const auto error = testing::error_of([] { parse({}); });
    CHECK(error.attempt().text ==
          "stat(2) " + beside.string() + ": find the rootfs");
    CHECK(error.hint() == "make rootfs makes one");
  }
}

TEST_CASE("a ROOTFS that is not there is said to be missing") {
  const auto error = testing::error_of([] { parse({"/no/such"}); });
  CHECK(error.code() == std::errc::no_such_file_or_directory);
  CHECK(error.attempt().text == "stat(2) /no/such: find the rootfs");
}

TEST_CASE("the host's / is no ROOTFS, whatever it is called") {
  for (const char* const root : {"/", "//", "/.", "/tmp/..", "/proc/self/root"})
    CHECK(complaint({root}).starts_with(
        "ROOTFS may not be the host's / itself; hint: "));
}

TEST_CASE("what is not said has a default, or no value") {
  const auto args = parse({kRootfs});
  CHECK(args.hostname == "box");
  CHECK(args.binds.empty());
  CHECK_FALSE(args.read_only);
  CHECK_FALSE(args.network.has_value());
  CHECK_FALSE(args.memory.has_value());
  CHECK_FALSE(args.pids.has_value());
  CHECK_FALSE(args.cpus.has_value());
  CHECK(args.environment.empty());
  CHECK(args.ids.user == 0);
  CHECK(args.ids.group == 0);
}

TEST_CASE("each option is heard") {
  CHECK(parse({"--hostname", "web", kRootfs}).hostname == "web");
  CHECK(parse({"--read-only", kRootfs}).read_only);
  CHECK(parse({"--net", "nat", kRootfs}).network == sys::Network::kNat);
  CHECK(parse({"--memory", "64M", kRootfs}).memory == 64 << 20);
  CHECK(parse({"--memory", "none", kRootfs}).memory == sys::kNoLimit);
  CHECK(parse({"--pids", "20", kRootfs}).pids == 20);
  CHECK(parse({"--cpus", "1.5", kRootfs}).cpus == 1500);
}

TEST_CASE("a value may stand behind = or in a word of its own") {
  CHECK(parse({"--hostname=web", kRootfs}).hostname == "web");
  CHECK(parse({"--hostname", "web", kRootfs}).hostname == "web");
  CHECK(parse({"--env=A=B=C", kRootfs}).environment == Words{"A=B=C"});
}

TEST_CASE("of an option said twice the last counts; some may be repeated") {
  CHECK(parse({"--hostname=a", "--hostname=b", kRootfs}).hostname == "b");
  CHECK(parse({"--env=A=1", "--env", "B=", kRootfs}).environment ==
        Words{"A=1", "B="});
  CHECK(parse({"--bind=/a:/b", "--bind=/c:/d", kRootfs}).binds.size() == 2);
}

TEST_CASE("--user takes a group, or the one with the user's number") {
  CHECK(parse({"--user", "1000", kRootfs}).ids.user == 1000);
  CHECK(parse({"--user", "1000", kRootfs}).ids.group == 1000);
  CHECK(parse({"--user", "1000:50", kRootfs}).ids.user == 1000);
  CHECK(parse({"--user", "1000:50", kRootfs}).ids.group == 50);
  CHECK(parse({"--user", "0:65535", kRootfs}).ids.group == 65535);
  for (const char* const wrong :
       {"root", "", ":", "1:", ":1", "65536", "0:65536", "-1", "-0", "1:2:3"})
    CHECK(complaint({"--user", wrong, kRootfs}).starts_with("'"));
}

TEST_CASE("--without leaves out the wall that it names, and no other") {
  const auto built = [](std::initializer_list<const char*> words) {
    sys::Walls walls;
    const auto notes =
        testing::written_to(STDERR_FILENO, [&] { walls = parse(words).walls; });
    CHECK((words.size() > 1) ==
          (notes.find(" wall: left out by --without\n") != notes.npos));
    return std::vector<bool>{walls.seccomp,      walls.capabilities,
                             walls.landlock,     walls.no_new_privs,
                             walls.hidden_paths, walls.terminal,
                             walls.init,         walls.keys};
  };
  const std::vector<bool> all(8, true);
  CHECK(built({kRootfs}) == all);
  std::size_t at = 0;
  for (const char* const name :
       {"seccomp", "capabilities", "landlock", "no-new-privs", "hidden-paths",
        "terminal", "init", "keys"}) {
    auto others = all;
    others.at(at++) = false;
    CHECK(built({"--without", name, kRootfs}) == others);
    CHECK(built({"--without", name, "--without", name, kRootfs}) == others);
  }
  CHECK(built({"--without", "init", "--without=keys", kRootfs}) ==
        std::vector<bool>{true, true, true, true, true, true, false, false});
  CHECK(complaint({"--without", "wall", kRootfs}) ==
        "--without takes one of seccomp, capabilities, landlock, no-new-privs, "
        "hidden-paths, terminal, init, keys, not 'wall'");
}

TEST_CASE("-v makes the program verbose") {
  bool is_verbose = false;
  CHECK_FALSE(sys::verbose);
  CHECK(testing::written_to(STDERR_FILENO, [&] {
          const sys::Defer hush{[] { sys::verbose = false; }};
          parse({"-v", kRootfs});
          is_verbose = sys::verbose;
        }).find("stat(2)") != std::string::npos);
  CHECK(is_verbose);
}

TEST_CASE("an option nobody knows is refused") {
  CHECK(complaint({"--nonsense"}) == "unknown option --nonsense; see --help");
  CHECK(complaint({"--nonsense=1"}) == "unknown option --nonsense; see --help");
  CHECK(complaint({"--host"}) ==
        "unknown option --host; hint: --hostname NAME");
  CHECK(complaint({"-x"}) == "unknown option -x; see --help");
  CHECK(complaint({"-"}) == "unknown option -; see --help");
}

TEST_CASE("a step knows no option of a later one") {
  CommandLine later{"--memory", "64M", kRootfs};
  CHECK_THROWS_WITH_AS(later.parse({"--hostname"}),
                       "unknown option --memory; hint: the steps from 07 on "
                       "have it",
                       std::invalid_argument);
  CommandLine forgotten{"--memory", "64M", kRootfs};
  char* const before = ::program_invocation_short_name;
  std::string name{"07-cgroup-memory"};
  ::program_invocation_short_name = name.data();
  const sys::Defer restore{[&] { ::program_invocation_short_name = before; }};
  CHECK_THROWS_WITH_AS(forgotten.parse({"--hostname"}),
                       "unknown option --memory; hint: add it to .options",
                       std::invalid_argument);
  CommandLine own{"--hostname", "x", kRootfs};
  CHECK(own.parse({"--hostname"}).hostname == "x");
}

TEST_CASE("a value that is missing, or one too many, is refused") {
  CHECK(complaint({"--hostname"}) == "--hostname wants a value");
  CHECK(complaint({"--read-only", "--memory"}) == "--memory wants a value");
  CHECK(complaint({"--read-only=yes"}) == "--read-only takes no value");
  CHECK(complaint({"-v=1"}) == "-v takes no value");
  CHECK(complaint({"--help=3"}) == "--help takes no value");
  CHECK(complaint({"--hostname="}).starts_with("'' is not a host name"));
  CHECK(complaint({"--hostname", "--read-only"})
            .starts_with("'--read-only' is not a host name"));
}

TEST_CASE("--net and --env name what they take") {
  for (const auto& [word, network] : {std::pair{"veth", sys::Network::kVeth},
                                      {"nat", sys::Network::kNat},
                                      {"none", sys::Network::kNone},
                                      {"host", sys::Network::kHost}})
    CHECK(parse({"--net", word, kRootfs}).network == network);
  CHECK(complaint({"--net", "bridge"}) ==
        "--net takes one of veth, nat, none, host, not 'bridge'");
  for (const char* const wrong : {"", "A", "=", "=b"})
    CHECK(complaint({"--env", wrong}) ==
          sys::format("--env wants NAME=VALUE, not '{}'", wrong));
}

TEST_CASE("--help prints the options that the program knows, and no others") {
  for (const char* const word : {"--help", "-h"}) {
    int status = -1;
    const auto text = testing::written_to(STDOUT_FILENO, [&] {
      auto child = sys::clone(0, [&] {
        CommandLine{"--hostname", "x", word}.parse({"--hostname"});
      });
      status = child.wait();
    });
    CHECK(status == 0);
    CHECK(text.starts_with("usage: "));
    CHECK(text.find("--hostname NAME") != std::string::npos);
    CHECK(text.find("--memory") == std::string::npos);
  }
}

TEST_CASE("who says no network gets the most there is") {
  const bool is_root = ::geteuid() == 0;
  std::optional<sys::Network> network;
  const auto said = testing::written_to(
      STDERR_FILENO, [&] { network = sys::choose_network({}); });
  CHECK(network == (is_root ? sys::Network::kVeth : sys::Network::kNone));
  CHECK(said.empty() == is_root);
  CHECK(sys::choose_network(sys::Network::kHost) == sys::Network::kHost);
}

// ---- Values ----------------------------------------------------------------

TEST_CASE("parse_size reads a whole number of bytes, or of K, M or G") {
  CHECK(sys::parse_size("1") == 1);
  CHECK(sys::parse_size("4096") == 4096);
  CHECK(sys::parse_size("007") == 7);
  CHECK(sys::parse_size("1K") == 1024);
  CHECK(sys::parse_size("64m") == 64 << 20);
  CHECK(sys::parse_size("64M") == 64 << 20);
  CHECK(sys::parse_size("2G") == std::int64_t{2} << 30);
  CHECK(sys::parse_size("none") == sys::kNoLimit);
}

TEST_CASE("parse_size goes to the largest number there is, and not beyond") {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  CHECK(sys::parse_size("9223372036854775807") == kMost);
  CHECK(sys::parse_size("8388608G") == std::int64_t{1} << 53);
  CHECK(sys::parse_size("8589934591G") == (kMost >> 30) << 30);
  CHECK(sys::parse_size("9007199254740991K") == (kMost >> 10) << 10);
  for (const char* const much :
       {"9223372036854775808", "8589934592G", "9007199254740992K",
        "8796093022208M", "99999999999999999999"})
    CHECK_THROWS_AS(sys::parse_size(much), std::invalid_argument);
}

TEST_CASE("parse_size refuses what is no size, or none to live on") {
  for (const char* const wrong :
       {"",     "0",     "0K",  "00",   "-1",  "-0",       "+1",   "-64M",
        "abc",  "K",     "M",   "G",    "KM",  "64KM",     "64T",  "64B",
        "64MB", "64MiB", "64 ", " 64",  "6 4", "64 M",     "1.5G", ".5G",
        "1e9",  "0x10",  "1,5", "None", "no",  "99999999T"}) {
    CAPTURE(wrong);
    const auto said = complaint({"--memory", wrong, kRootfs});
    CHECK_MESSAGE(
        said.starts_with(sys::format("'{}' is not a size: a whole number of "
                                     "bytes, or of K, M or G; or none",
                                     wrong)),
        said);
  }
}

TEST_CASE("parse_number keeps to its bounds") {
  CHECK(sys::parse_number("1", 1, 5) == 1);
  CHECK(sys::parse_number("5", 1, 5) == 5);
  CHECK(sys::parse_number("-3", -5, 5) == -3);
  CHECK_THROWS_WITH_AS(sys::parse_number("6", 1, 5),
                       "'6' is not a whole number from 1 to 5",
                       std::invalid_argument);
  for (const char* const wrong : {"0", "6", "", "-1", "-0", "x", "3x", " 3",
                                  "3 ", "+3", "3.0", "9223372036854775808"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(sys::parse_number(wrong, 1, 5), std::invalid_argument);
    CHECK_THROWS_AS(sys::parse_number(wrong, 1, 5), std::invalid_argument);
  }
  CHECK_THROWS_AS(sys::parse_number("-0", 0, 5), std::invalid_argument);
}

TEST_CASE("parse_cpus reads up to three digits behind the point") {
  CHECK(sys::parse_cpus("1") == 1000);
  CHECK(sys::parse_cpus("1.") == 1000);
  CHECK(sys::parse_cpus("1.0") == 1000);
  CHECK(sys::parse_cpus("1.5") == 1500);
  CHECK(sys::parse_cpus("0.5") == 500);
  CHECK(sys::parse_cpus("0.05") == 50);
  CHECK(sys::parse_cpus("2.125") == 2125);
  CHECK(sys::parse_cpus("0.01") == 10);
  CHECK(sys::parse_cpus("8192") == 8192'000);
}

TEST_CASE("parse_cpus loses no thousandth") {
  for (std::int64_t value = 10; value < 10'000; ++value)
    CHECK(sys::parse_cpus(
              sys::format("{}.{:03}", value / 1000, value % 1000)) == value);
}

TEST_CASE("parse_cpus refuses what the kernel would, and what is no number") {
  for (const char* const wrong :
       {"",       "0",        "0.0", "0.009", "0.0001", "1.2345", "8193",
        "8192.1", "99999999", "-1",  "-0.5",  "1.-0",   "1.-5",   "+1",
        "1,5",    ".5",       ".",   "1.5.2", "1e3",    "inf",    "nan",
        "x",      "1.5x",     " 1",  "1 ",    "0x1",    "all"}) {
    CAPTURE(wrong);
    CHECK_THROWS_WITH_AS(
        sys::parse_cpus(wrong),
        sys::format("'{}' is not a number of processors, 0.01 to 8192", wrong)
            .c_str(),
        std::invalid_argument);
  }
}

TEST_CASE("parse_host_name takes what every tool can") {
  const std::string longest(64, 'a');
  for (const std::string& name :
       {std::string{"box"}, std::string{"A"}, std::string{"web-1"},
        std::string{"a.example.org"}, std::string{"9"}, longest})
    CHECK(sys::parse_host_name(name) == name);
}

TEST_CASE("parse_host_name refuses the rest") {
  for (const std::string& name :
       {std::string{}, std::string(65, 'a'), std::string{"-a"},
        std::string{"a-"}, std::string{"-"}, std::string{"a b"},
        std::string{"a_b"}, std::string{"a/b"}, std::string{"a\nb"},
        std::string{"\xc3\xa4"}, std::string("a\0b", 3)}) {
    CAPTURE(name);
    CHECK_THROWS_AS(sys::parse_host_name(name), std::invalid_argument);
  }
}

TEST_CASE("parse_bind reads a source, a target, and :ro") {
  const auto plain = sys::parse_bind("/data:/mnt/data");
  CHECK(plain.source == "/data");
  CHECK(plain.target == "/mnt/data");
  CHECK_FALSE(plain.read_only);

  CHECK_FALSE(sys::parse_bind("/data:/mnt/data:rw").read_only);
  CHECK(sys::parse_bind("/data:/mnt/data:rw").target == "/mnt/data");
  const auto read_only = sys::parse_bind("/data:/mnt/data:ro");
  CHECK(read_only.source == "/data");
  CHECK(read_only.target == "/mnt/data");
  CHECK(read_only.read_only);
}

TEST_CASE("parse_bind makes a relative source absolute: we change directory") {
  const auto here = std::filesystem::current_path().string();
  CHECK(sys::parse_bind("data:/data").source == here + "/data");
  CHECK(sys::parse_bind("./data:/data").source == here + "/./data");
  CHECK(sys::parse_bind("..:/data").source == here + "/..");
  CHECK(sys::parse_bind("/:/host").source == "/");
}

TEST_CASE("parse_bind takes names with spaces, commas and colons") {
  const auto odd = sys::parse_bind("/my files, a:b:/in, side:ro");
  CHECK(odd.source == "/my files, a:b");
  CHECK(odd.target == "/in, side");
  CHECK(odd.read_only);

  CHECK(sys::parse_bind("/a:/b:/c").source == "/a:/b");
  CHECK(sys::parse_bind("/a::/c").source == "/a:");
  CHECK(sys::parse_bind("/a:ro:/c").source == "/a:ro");
  CHECK_FALSE(sys::parse_bind("/a:ro:/c").read_only);
  CHECK(sys::parse_bind("/a:/b..").target == "/b..");
  CHECK(sys::parse_bind("/a:/..b").target == "/..b");
}

TEST_CASE("parse_bind refuses to cover / itself") {
  for (const char* const root :
       {"/a:/", "/a://", "/a:/.", "/a:/./", "/a:/:ro", "/a:/.//./"}) {
    CAPTURE(root);
    CHECK_THROWS_WITH_AS(
        sys::parse_bind(root),
        "--bind cannot cover / itself: that is what ROOTFS is for",
        std::invalid_argument);
  }
}

TEST_CASE("parse_bind refuses a target that climbs") {
  for (const char* const climbing :
       {"/a:/..", "/a:/../b", "/a:/b/..", "/a:/b/../c", "/a:/b/..:ro"}) {
    CAPTURE(climbing);
    CHECK_THROWS_AS(sys::parse_bind(climbing), std::invalid_argument);
  }
}

TEST_CASE("parse_bind refuses what lacks a part, or has a relative target") {
  for (const char* const wrong :
       {"", ":", "/a", "/a:", ":/b", "/a:b", "/a:b:ro", "/a:ro", "/a::ro",
        ":ro", ":/b:ro", "a b"}) {
    CAPTURE(wrong);
    CHECK_THROWS_WITH_AS(
        sys::parse_bind(wrong),
        sys::format(
            "--bind wants SRC:DST or SRC:DST:ro, DST absolute, not '{}'", wrong)
            .c_str(),
        std::invalid_argument);
  }
}

TEST_CASE("parse_bind refuses an option of other programs, however written") {
  for (const std::string option : {"z", "Z", "RO", "Rw", "ro,z", "rshared"}) {
    CHECK_THROWS_WITH_AS(
        sys::parse_bind("/a:/b:" + option),
        ("--bind has :ro and :rw only, not ':" + option + "'").c_str(),
        std::invalid_argument);
  }
  CHECK(sys::parse_bind("/a:/b:other").target == "/b:other");
}

TEST_SUITE_END();
