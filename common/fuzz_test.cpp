// What people and kernels write, spoilt in every way: a parser takes it or says
// what is wrong with it, and reads no byte that is not there. Run it with
// SANITIZE=address,undefined, too. Each run tries a share of the texts, and
// TEST_SHARE=1 all of them.

#include <doctest/doctest.h>

#include <functional>
#include <random>
#include <stdexcept>
#include <string>

#include "common/cgroup.hpp"
#include "common/options.hpp"
#include "common/testing.hpp"

TEST_SUITE_BEGIN("fuzz");

namespace {

using Body = std::function<void(const std::string&)>;

const testing::Share& share() {
  static const testing::Share the_share;
  return the_share;
}

// All texts of at most `length` letters of an alphabet.
void count_up(const std::string& alphabet, std::size_t length, const Body& body,
              const std::string& text = {}) {
  body(text);
  if (text.size() == length) return;
  for (const char letter : alphabet)
    count_up(alphabet, length, body, text + letter);
}

// The short ones of them always, and a share of the longest.
void for_all(const std::string& alphabet, std::size_t length,
             const Body& body) {
  INFO(share().words());
  unsigned long n = 0;
  count_up(alphabet, length, [&](const std::string& text) {
    if (text.size() < length || share().has(n++)) body(text);
  });
}

// The text with some of its bytes changed, doubled or gone, many times over.
void for_many_like(const std::string& text, const Body& body) {
  INFO(share().words());
  std::mt19937_64 random{share().seed};
  const auto below = [&](std::size_t n) { return random() % n; };
  const std::string telling = "0 9:,/.-\n\t\\=KG";
  for (auto i = 20000 / share().one_in; i > 0; --i) {
    auto spoilt = text;
    for (auto changes = 1 + below(4); changes > 0 && !spoilt.empty();
         --changes) {
      const auto at = below(spoilt.size());
      switch (below(5)) {
        case 0:
          spoilt.at(at) = telling.at(below(telling.size()));
          break;
        case 1:
          spoilt.at(at) = static_cast<char>(below(256));
          break;
        case 2:
          spoilt.erase(at, 1 + below(20));
          break;
        case 3:
          spoilt.insert(at, spoilt.substr(below(spoilt.size()), below(30)));
          break;
        default:
          spoilt.resize(at);
      }
    }
    body(spoilt);
  }
}

// Whether it takes the text; if not, it has to say so in a line of words.
bool takes(const std::function<void()>& parse) {
  try {
    parse();
    return true;
  } catch (const std::invalid_argument& error) {
    const std::string what = error.what();
    REQUIRE(what.size() > 10);
    return false;
  }
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

TEST_CASE("a size is digits, not all 0, and perhaps a K, M or G") {
  for_all("019KkMGT-+. x\n", 4, [](const std::string& text) {
    auto digits = text;
    if (!digits.empty() &&
        std::string{"KkMmGg"}.find(digits.back()) != text.npos)
      digits.pop_back();
    const bool is_size = std::all_of(digits.begin(), digits.end(), is_digit) &&
                         digits.find_first_not_of('0') != digits.npos;
    const bool taken = takes([&] {
      const auto size = sys::parse_size(text);
      REQUIRE(size > 0);
    });
    if (taken != is_size) FAIL_CHECK(text);
  });
}

TEST_CASE("a number of processors is at least a hundredth, and a decimal") {
  for_all("019.-+e x", 5, [](const std::string& text) {
    if (!takes([&] {
          const auto cpus = sys::parse_cpus(text);
          REQUIRE((cpus >= 10 && cpus <= 8192'000));
        }))
      return;
    if (text.find_first_not_of("0123456789.") != text.npos) FAIL_CHECK(text);
  });
}

TEST_CASE("a host name is one that sethostname and people take") {
  for_all("aZ0-._/ \n", 4, [](const std::string& text) {
    const bool taken = takes([&] { (void)sys::parse_host_name(text); });
    const bool is_name = !text.empty() && text.front() != '-' &&
                         text.back() != '-' &&
                         text.find_first_of("_/ \n") == text.npos;
    if (taken != is_name) FAIL_CHECK(text);
  });
}

TEST_CASE("a bind has a source and a target below /") {
  for_all("a/:.ro", 7, [](const std::string& text) {
    if (!takes([&] {
          const auto bind = sys::parse_bind(text);
          REQUIRE(bind.source.starts_with('/'));
          REQUIRE(bind.target.starts_with('/'));
          REQUIRE(bind.target.find_first_not_of("/.") != text.npos);
          REQUIRE((bind.target + '/').find("/../") == text.npos);
        }))
      return;
    if (text.find(":/") == text.npos) FAIL_CHECK(text);
  });
}

TEST_CASE("what the kernel says of mounts and cgroups may be anything") {
  // No path in here is one of this machine's.
  const std::string mounts =
      "29 22 0:26 / /no/cgroup rw,nosuid shared:4 - tmpfs tmpfs rw,mode=755\n"
      "30 29 0:27 /a /no/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
      "36 29 0:33 / /no/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
      "40 29 0:37 /a/b /no/cgroup/memory rw - cgroup cgroup rw,memory\n";
  const std::string cgroup =
      "5:memory:/a/b/c\n3:cpu,cpuacct:/a\n1:name=systemd:/a/b\n0::/a/b/c\n";
  const auto look = [](const std::string& own, const std::string& all) {
    (void)sys::cgroup_directories(own, all);
    for (const std::string controller : {"memory", "pids", "cpu"}) {
      try {
        (void)sys::find_cgroup_parents({controller}, own, all);
      } catch (const sys::Error&) {  // There is none, as it should be.
      }
    }
  };
  for_many_like(mounts, [&](const auto& spoilt) { look(cgroup, spoilt); });
  for_many_like(cgroup, [&](const auto& spoilt) { look(spoilt, mounts); });
}

TEST_CASE("what the kernel counts in a cgroup may be anything") {
  const testing::Directory directory;
  for_many_like("low 0\nmax 12\noom 1\noom_kill 3\n",
                [&, i = 0](const auto& spoilt) mutable {
                  if (++i % 10 != 0) return;  // A file each.
                  const auto file = directory.make_file("events", spoilt);
                  (void)sys::read_keyed_value(file, "oom_kill");
                });
}

TEST_SUITE_END();
