// The checker for what learners write: it fails what is not done yet, passes
// what is, names what is wrong, and is not deceived. `make mistakes` tries all
// steps.

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/testing.hpp"
#include "steps/tests/host.hpp"

namespace fs = std::filesystem;
using host::contents, host::Result, host::shell;

TEST_SUITE_BEGIN("learn");

namespace {

// It builds, with the flags of an ordinary build, and plays many tests.
const bool kIsSkipped = ::geteuid() != 0 || host::kIsSanitized;

// A learner, who has a directory for what they write.
class Learner {
 public:
  Learner() { remove(); }
  Learner(const Learner&) = delete;
  Learner& operator=(const Learner&) = delete;
  ~Learner() { remove(); }

  [[nodiscard]] Result learn(const std::string& words,
                             const std::string& settings = {}) const {
    return shell("MY=" + my_ + " MY_FLAGS='-O0 -w' " + settings +
                 " scripts/learn/learn " + words);
  }

  [[nodiscard]] std::string mine(const std::string& step) const {
    return my_ + "/" + step + ".cpp";
  }

  [[nodiscard]] std::string memory() const { return my_ + "/.progress.json"; }

  void write(const std::string& step, const std::string& text) const {
    fs::create_directories(my_);
    std::ofstream{mine(step)} << text;
  }

 private:
  void remove() const {
    std::error_code ignored;
    fs::remove_all(my_, ignored);
    fs::remove_all("build/" + my_, ignored);
  }

  std::string my_ = "build/learner-" + std::to_string(::getpid());
};

std::string course(const std::string& step) {
  return contents("steps/" + step + "/main.cpp");
}

std::string replaced(std::string text, const std::string& old,
                     const std::string& now) {
  const auto at = text.find(old);
  REQUIRE(at != std::string::npos);
  return text.replace(at, old.size(), now);
}

bool has(const Result& result, const std::string& text) {
  return result.out.find(text) != std::string::npos;
}

}  // namespace

#define TEST_LEARNER(name) \
  TEST_CASE_FIXTURE(host::Unharmed, name " (root)" * doctest::skip(kIsSkipped))

TEST_LEARNER("the start of a step fails, and is told what to do next") {
  const Learner learner;
  CHECK(learner.learn("start 01").status == 0);
  CHECK(contents(learner.mine("01")).starts_with("// Step 01: your task.\n"));
  const auto result = learner.learn("check 01 --only rootfs");
  CHECK(result.status == 1);
  CHECK(has(result, "- does not hold  / is the rootfs (root)\n"));
  CHECK(has(result, "Next: Another /. make hint-01 helps.\n"));
}

TEST_LEARNER("the course's own solution holds, and progress shows it") {
  const Learner learner;
  learner.write("01", course("01-chroot"));
  const auto result = learner.learn("check 01");
  INFO(result.out);
  CHECK(result.status == 0);
  CHECK(has(result, " hold, 0 do not, "));
  CHECK(!has(result, "does not hold"));
  CHECK(has(learner.learn("check 01 --only rootfs"),
            "make check-01, for these were some of them."));
  CHECK(has(learner.learn("progress"), "[####] 01-chroot"));
  learner.write("01", course("01-chroot") + "\n");
  CHECK(has(learner.learn("progress"), "[##  ] 01-chroot"));
  CHECK(has(learner.learn("progress"), "[    ] 02-pidns"));
}

TEST_LEARNER("a mistake is told by the promise that it breaks") {
  const Learner learner;
  learner.write("05", replaced(course("05-mountns"),
                               "::umount2(\".\", MNT_DETACH)", "0"));
  const auto result = learner.learn("check 05 --only 'left inside'");
  CHECK(result.status == 1);
  CHECK(has(result,
            "- does not hold  nothing of the host's mounts is left inside "
            "(root)\n"));
  CHECK(has(result, "look at: The old root\n"));
  CHECK(has(result, "Next: The old root. make hint-05 helps.\n"));
  CHECK(has(learner.learn("hint 05"), "The old root, 1 of 4: the idea\n"));
  CHECK(has(learner.learn("progress"), "not all checked\n"));
}

TEST_LEARNER("a piece of work can be checked alone") {
  const Learner learner;
  CHECK(learner.learn("start 04").status == 0);
  const auto result = learner.learn("check 04 --only 'A name of its own'");
  CHECK(result.status == 1);
  CHECK(has(result, "- does not hold  it may change its name"));
  CHECK(!has(result, "/ is the rootfs"));
  // What succeeds on something of its own, is not to be refused.
  CHECK(has(result, "it is refused, but should succeed, and reach only"));
}

TEST_LEARNER("a container that leaks is never told that it holds") {
  const Learner learner;
  learner.write("07", replaced(course("07-cgroup-memory"),
                               "sys::remove_cgroups(groups, parents);", ";"));
  auto result = learner.learn("check 07 --only 'exit status'");
  CHECK(result.status == 1);
  CHECK(has(result,
            "- does not hold  it leaves nothing on the host (root)\n"
            "                   it is left on the host: a cgroup, "));
  CHECK(has(result, "look at: The group\n"));

  learner.write("02",
                replaced(course("02-pidns"), "(void)::umount2(", "(void)("));
  result = learner.learn("check 02 --only 'exit status'");
  CHECK(result.status == 1);
  CHECK(has(result, "it is left on the host: a mount, "));
}

TEST_LEARNER("what leaks only now and then is told, too") {
  const Learner learner;
  // If the command fails, the cgroup stays.
  learner.write("07",
                replaced(course("07-cgroup-memory"), "tell_of_kills(groups);",
                         "if (status != 0) std::quick_exit(status);"));
  const auto result = learner.learn("check 07 --only 'exit status'");
  CHECK(result.status == 1);
  CHECK(has(result, "+ holds          it leaves nothing on the host (root)\n"));
  CHECK(has(result,
            "- does not hold  the exit status is the command's own (root)\n"
            "                   a cgroup is left on the host\n"));
}

TEST_LEARNER("what harms its host harms one that was made for it") {
  const Learner learner;
  // Ends whatever it may; root may end all.
  learner.write("01", R"(#include <csignal>
int main() { ::kill(-1, SIGKILL); }
)");
  auto result = learner.learn("check 01");
  CHECK(result.status == 1);
  CHECK(has(result, "- does not hold  it runs a command (root)\n"));
  // Forks without end. Nobody has to wait for that as long as a learner does.
  learner.write("03", R"(#include <unistd.h>
int main() {
  for (;;) {
    (void)!::fork();
    ::usleep(100'000);
  }
}
)");
  result = learner.learn("check 03", "LEARN_TIMEOUT=5");
  CHECK(result.status == 1);
  CHECK(has(result, "no end after "));
  // Prints without end, and takes memory without end.
  learner.write("03", R"(#include <cstdio>
int main() { while (std::puts("once more") != EOF); }
)");
  result = learner.learn("check 03");
  CHECK(result.status == 1);
  CHECK(has(result, "no end of what it prints"));
  learner.write("03", R"(#include <cstring>
int main() {
  for (;;) std::memset(new char[1 << 24], 1, 1 << 24);
}
)");
  result = learner.learn("check 03");
  CHECK(result.status == 1);
  CHECK(has(result, "and the status is 137"));
}

TEST_LEARNER("what harms the project does not reach it") {
  const Learner learner;
  learner.write("01", R"(#include <cstdlib>
int main() {
  return std::system("echo >>README.md; touch scripts/new build/rootfs/new");
}
)");
  const auto before = contents("README.md");
  CHECK(has(learner.learn("check 01"), "and the status is "));
  CHECK(contents("README.md") == before);
  CHECK(!fs::exists("scripts/new"));
  CHECK(!fs::exists("build/rootfs/new"));
}

TEST_LEARNER("wrong input is one line") {
  const Learner learner;
  learner.write("01", course("01-chroot"));
  auto result = learner.learn("check 01 --only 'no such words'");
  CHECK(result.status == 1);
  CHECK(host::lines(result.err).size() == 1);
  CHECK(result.err.find("has \"no such words\" in its name") !=
        std::string::npos);
  std::ofstream{learner.memory()} << R"({"checks": {"01": {}}, "hints": []})";
  CHECK(learner.learn("progress").status == 0);
  CHECK(has(learner.learn("hint 01"), "Another /, 1 of 4: the idea"));
  fs::create_directory(learner.mine("02"));
  result = learner.learn("start 03");
  CHECK(result.status == 1);
  CHECK(result.err == "learn: " + learner.mine("02") + ": Is a directory\n");
}

TEST_LEARNER("whatever is left on that host is told, and gone with it") {
  const auto result = shell(
      "scripts/host/host sh -c '"
      "mkdir $(dirname $(find /sys/fs/cgroup -name cgroup.procs | head -n1))/x;"
      "hostname x; mount -t tmpfs x /mnt; touch /tmp/x; sleep 1000 &"
      "ip link add x type veth; exit 3'");
  CHECK(result.status == 3);
  const auto told = host::lines(result.err);
  CHECK(told.size() == 7);  // A cable has two ends.
  for (const std::string what :
       {"a cgroup, /sys/fs/cgroup/", "a file, /tmp/x", "a link, x",
        "a mount, /mnt", "a process, ", "the name, x"}) {
    CAPTURE(what);
    CHECK(result.err.find("host: left behind: " + what) != std::string::npos);
  }
}

TEST_LEARNER("what umount(8) makes for itself is not left by anybody") {
  const auto result = shell(
      "unshare --mount sh -c 'mount -t tmpfs none /run; "
      "scripts/host/host sh -c \"mount -t tmpfs none /mnt; umount /mnt\"'");
  CHECK(result.status == 0);
  CHECK(result.err.empty());
}

TEST_LEARNER("a signal ends that host") {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    CAPTURE(signal);
    host::Running throwaway{"scripts/host/host sleep 1000"};
    const auto name = "throwaway-" + std::to_string(throwaway.pid());
    CHECK(host::comes_to_run(throwaway.pid(), "sleep"));
    const auto group = "find /sys/fs/cgroup -name " + name;
    CHECK(!shell(group).out.empty());
    ::kill(throwaway.pid(), signal);
    CHECK(throwaway.finish() == 128 + signal);
    CHECK(shell(group).out.empty());
  }
}

TEST_LEARNER("who only prints what is expected is found out") {
  const Learner learner;
  learner.write("01", R"(#include <cstdio>
int main(int argc, char** argv) {
  if (argc > 3) std::puts(argv[3]);  // As echo would.
}
)");
  const auto result = learner.learn("check 01 --only rootfs");
  CHECK(result.status == 1);
  CHECK(has(result, "+ holds          it runs a command (root)\n"));
  CHECK(has(result, "- does not hold  / is the rootfs (root)\n"));
}

TEST_LEARNER("what does not compile, or does not run, is told at once") {
  const Learner learner;
  learner.write("03", "int main() { return no_such_name; }\n");
  auto result = learner.learn("check 03");
  CHECK(result.status == 1);
  CHECK(has(result, "- does not hold  it builds\n"));
  learner.write("03", "int main() { return 1; }\n");
  result = learner.learn("check 03");
  CHECK(result.status == 1);
  CHECK(has(result, "- does not hold  it runs a command (root)\n"));
  CHECK(has(result, "\n0 hold, 1 do not, 1 not checked\n"));
}

TEST_CASE("each step has a task, and hints of four rungs") {
  for (const auto& entry : fs::directory_iterator("steps")) {
    if (!entry.path().filename().string().starts_with('0')) continue;
    const auto text = contents(entry.path() / "task.md");
    CAPTURE(entry.path());
    CHECK(text.starts_with("# Step "));
    int topics = 0;
    int hints = 0;
    for (const auto& line : host::lines(text)) {
      if (line.starts_with("## ")) ++topics;
      if (line.size() > 3 && line[0] >= '1' && line[0] <= '4' &&
          line.substr(1, 2) == ". ")
        ++hints;
    }
    CHECK(topics > 0);
    CHECK(hints == 4 * topics);

    // The learner's file begins with it.
    const Learner learner;
    const auto step = entry.path().filename().string().substr(0, 2);
    CHECK(learner.learn("start " + step).status == 0);
    const auto start = contents(learner.mine(step));
    for (const auto& line :
         host::lines(testing::behind(text, text.find('\n')))) {
      if (line.starts_with("## ") || line.starts_with("```")) break;
      CAPTURE(line);
      CHECK(start.find(line.empty() ? "//\n" : "// " + line + "\n") !=
            std::string::npos);
    }
  }
}

TEST_CASE("hints come one after the other, mildest first") {
  const Learner learner;
  CHECK(learner.learn("hint 04").status == 1);
  CHECK(learner.learn("start 04").status == 0);
  for (const std::string rung :
       {"1 of 4: the idea", "2 of 4: where to read", "3 of 4: the call",
        "4 of 4: the line", "4 of 4: the line"})
    CHECK(has(learner.learn("hint 04"), "A name of its own, " + rung + "\n"));
}

TEST_CASE("where nothing could be checked, there are all hints in turn") {
  const Learner learner;
  CHECK(learner.learn("start 02").status == 0);
  std::ofstream{learner.memory()} <<
      R"({"hints": {}, "checks": {"02": {"of": "", "broken": [], "seen": [],
          "needs_root": 27}}})";
  for (const std::string topic :
       {"Numbers of its own", "A /proc that matches", "The mount that stays"})
    for (const std::string rung : {"1", "2", "3", "4"})
      CHECK(learner.learn("hint 02").out.starts_with(topic + ", " + rung));
}

TEST_CASE("a number that no step has, or none, is one clear line") {
  for (const std::string verb :
       {"diff", "start", "check", "hint", "catch-up", "solution", "demo"})
    for (const std::string number : {"", "99", "3"}) {
      const auto result =
          shell("make --no-print-directory " + verb + "-" + number);
      CHECK(result.status == 2);
      CHECK(result.out.empty());
      CHECK(testing::first(host::lines(result.err)) ==
            "make " + verb + "-" + number + ": the steps are " +
                (verb == "diff" ? "02" : "01") + " to 08");
    }
}

TEST_CASE("start goes on from the learner's own, and overwrites nothing") {
  const Learner learner;
  learner.write("04", "// Notes of mine.\n\nint mine = 1;\n");
  CHECK(learner.learn("start 05").status == 0);
  CHECK(contents(learner.mine("05")).ends_with("\n\nint mine = 1;\n"));
  CHECK(learner.learn("start 05").status == 1);

  CHECK(learner.learn("catch-up 05").status == 0);
  CHECK(contents(learner.mine("04")) == course("04-uts"));
  CHECK(contents(learner.mine("04") + ".1").ends_with("int mine = 1;\n"));
  CHECK(learner.learn("catch-up 05").status == 0);
  CHECK(contents(learner.mine("04") + ".2") == course("04-uts"));
  CHECK(contents(learner.mine("04") + ".1").ends_with("int mine = 1;\n"));
  CHECK(has(learner.learn("progress"), "[====] 04-uts           the course's"));
  CHECK(learner.learn("catch-up 01").status == 1);
  CHECK(learner.learn("start 09").status == 1);
  CHECK(has(learner.learn("solution 05"), "+++ b/steps/05-mountns/main.cpp"));
}

TEST_SUITE_END();
