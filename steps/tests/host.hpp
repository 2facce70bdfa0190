// For the tests of the steps: run programs as a learner would, from a shell, as
// root or as an ordinary user, and see that the host is as it was afterwards.

#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace host {

#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kIsSanitized = true;
#else
inline constexpr bool kIsSanitized = false;
#endif

/// How a command line ended, and what it printed.
struct Result {
  int status = 0;
  std::string out;
  std::string err;
};

/// Runs a line under sh(1), with nothing on its standard input.
Result shell(const std::string& line);

/// The command lines of the test that runs, in order: what is told of a promise
/// that is broken. One that runs in the background has no status, which is -1.
struct Ran {
  std::string line;
  int status = -1;
  std::string out, err;
};
std::vector<Ran>& ran();

/// Whether a check of the test that runs has failed, as the reporter of the
/// checker sees it. Then no test waits long for anything more.
bool& has_failed();

/// Whether it is a learner's program that is tested: its messages say what
/// steps/README.md asks for, but not in our words.
bool is_learners();

/// Where the programs of the tests lie. The path has no character that a shell
/// would read in another way.
std::filesystem::path& build_directory();

/// The same for what prepares or tidies up after a test: it has to succeed.
void must(const std::string& line);

/// Who runs a step. As root, an ordinary user is played by setpriv(1).
enum class Caller { kRoot, kUser };

/// The command line that runs a step, "05-mountns" say, as `caller`, up to and
/// with ROOTFS: a command goes behind it, options in front of it. The program
/// is the one named by the environment, as in STEP_05=my/05, or ours.
std::string step(Caller caller, const std::string& name,
                 const std::string& options = {});

/// The command line that runs another program of ours as `caller`.
std::string as(Caller caller, const std::string& name);

/// The same as step, with another root filesystem.
std::string step_in(const std::string& rootfs, Caller caller,
                    const std::string& name, const std::string& options = {});

/// The rootfs that `caller` owns. TEST_ROOTFS names another one: root runs in
/// it, and an ordinary user in a copy.
std::string rootfs(Caller caller);

/// A directory that everybody may enter, removed at the end: for more of them.
std::string scratch(const std::string& name);

/// A program in the background, with pipes to its standard input and output.
class Running {
 public:
  explicit Running(const std::string& line);
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running();

  /// Writes a line to its standard input.
  void say(const std::string& line) const;
  /// The next line of its standard output; empty at its end, or if it says
  /// nothing for a minute.
  [[nodiscard]] std::string hear() const;
  /// Its PID.
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// The first process below it that is not one of its own: PID 1 inside.
  [[nodiscard]] pid_t child() const;
  /// Closes its standard input, waits, and returns its status.
  int finish();

 private:
  pid_t pid_ = -1;
  int to_ = -1;
  int from_ = -1;
  std::size_t ran_ = 0;
};

/// The children of a process: see proc(5), /proc/PID/task/TID/children.
std::vector<pid_t> children(pid_t pid);

/// Waits until `done` says so; false if that takes more than half a minute.
bool eventually(const std::function<bool(pid_t)>& done, pid_t pid);

/// Waits until the process has ended. False if it takes more than half a
/// minute, or if it sleeps and no KILL has reached it: then it will not end.
bool ends(pid_t pid);

/// Waits until a process below `pid` runs the program `name`; false if that
/// takes more than half a minute, or if `pid` has ended. A shell that is about
/// to exec does not do: it may catch a signal and forget it.
bool comes_to_run(pid_t pid, const std::string& name);

/// Whether there is such a process, zombies not counted.
bool is_alive(pid_t pid);
inline bool is_gone(pid_t pid) {
  return !is_alive(pid);
}

/// The contents of a file, or "" if it cannot be read.
std::string contents(const std::string& path);

/// The cgroups of the containers that these tests started.
std::vector<std::string> our_cgroups();

/// Whether strace(1) can make the calls of a step fail, or late.
bool can_trace();

/// Whether we are an ordinary user to whom a cgroup was delegated.
bool has_delegated_cgroup();

/// Whether tmpfs keeps user.* attributes, as from Linux 6.6 on. Without them an
/// overlay on it cannot remove a directory of the image: EIO. See xattr(7).
bool has_tmpfs_attributes();

/// Lines of a text.
std::vector<std::string> lines(const std::string& text);

/// The mounts of the host that was made for the tests; see mountinfo in
/// proc(5). An ordinary user can make none, but others can meanwhile: then it
/// is empty.
std::vector<std::string> mounts();

/// What is in one list and not in the other, a line each, with a + or a -
/// before it.
std::string changed(const std::vector<std::string>& before,
                    const std::vector<std::string>& now);

/// What is other now, as changed() tells it.
std::string changed_mounts(const std::vector<std::string>& before);

/// The fixture of every test of a step: at its end, no mount, link, cgroup or
/// process is there that was not there before, and the host has its name, its
/// routes and its settings of the network.
class Unharmed {
 public:
  Unharmed();
  Unharmed(const Unharmed&) = delete;
  Unharmed& operator=(const Unharmed&) = delete;
  ~Unharmed();  // NOLINT(bugprone-exception-escape): CHECK goes on

 private:
  std::string name_;
  std::vector<std::string> mounts_;
  std::string network_;
  std::vector<std::string> links_, cgroups_, processes_;
};

/// The steps that keep a promise, as in "03-06 08": those that root runs, and
/// those that an ordinary user runs if they are others.
struct Kept {
  const char* as_root = nullptr;
  const char* as_user = as_root;
};

/// The headings in steps/*/task.md of the pieces that make a promise hold. In a
/// step, the first of its pieces has the hints, and with the last of them the
/// promise can be checked.
using Pieces = std::vector<const char*>;

/// What is said of a promise that is broken: what was done, what has to happen
/// then, and why.
struct Fails {
  const char* words = nullptr;
};

/// What a test of a step says of itself. The option --promises prints it, and
/// the checker for learners, scripts/learn/learn, reads that.
struct Promise {
  Kept kept;
  Pieces pieces;
  Fails fails;

  /// As a decorator of doctest: notes which test this is of.
  void fill(const doctest::detail::TestCase& test) const;
};

}  // namespace host

// One test with the decorators of doctest, which is counted as skipped unless
// it can be tried.
#define TEST_IF(can_be_tried, name, ...) \
  TEST_CASE_FIXTURE(host::Unharmed,      \
                    name* doctest::skip(!(can_be_tried)) * (__VA_ARGS__))

// A promise: behind the name are its Kept, Pieces and Fails. This one is tried
// as root, and as an ordinary user. Its body sees `caller`.
#define PROMISE_AS_BOTH(name, ...) \
  TEST_AS_BOTH_AT(__LINE__, name, (host::Promise{__VA_ARGS__}))

// One whose name ends with who keeps it, and which cannot be tried everywhere.
#define PROMISE_IF(can_be_tried, name, ...) \
  TEST_IF(can_be_tried, name, host::Promise{__VA_ARGS__})

// One that only root can have kept.
#define PROMISE_AS_ROOT(name, ...) \
  PROMISE_IF(::geteuid() == 0, name " (root)", __VA_ARGS__)

// One to an ordinary user.
#define PROMISE_AS_USER(name, ...) PROMISE_IF(true, name " (user)", __VA_ARGS__)

// One to an ordinary user who has no cgroup of their own; who has one skips it.
#define PROMISE_WITHOUT_CGROUP(name, ...) \
  PROMISE_IF(!host::has_delegated_cgroup(), name " (user)", __VA_ARGS__)

// The same for what the checker does not ask of a learner's program.
#define TEST_AS_BOTH(name) TEST_AS_BOTH_AT(__LINE__, name, host::Promise{})
#define TEST_AS_ROOT(name) \
  TEST_IF(::geteuid() == 0, name " (root)", host::Promise{})
#define TEST_AS_USER(name) TEST_IF(true, name " (user)", host::Promise{})

#define TEST_AS_BOTH_AT(line, name, promise) \
  TEST_AS_BOTH_IN(line, name, promise)
#define TEST_AS_BOTH_IN(line, name, promise)           \
  static void promise_##line(host::Caller caller);     \
  TEST_IF(::geteuid() == 0, name " (root)", promise) { \
    promise_##line(host::Caller::kRoot);               \
  }                                                    \
  TEST_IF(true, name " (user)", promise) {             \
    promise_##line(host::Caller::kUser);               \
  }                                                    \
  static void promise_##line(host::Caller caller)
