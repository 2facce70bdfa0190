// The standard streams of a container are no files of its caller's, and all
// that goes through them arrives. From step 05 on, and in enter.

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <functional>

#include "common/fd.hpp"
#include "steps/tests/host.hpp"

using host::Caller, host::must, host::shell, host::step;

TEST_SUITE_BEGIN("streams");

namespace {

// Each program that starts a command in a container, from 05 on, up to and with
// its ROOTFS or PID. `options` are those of 05.
void for_each(Caller caller,
              const std::function<void(const std::string& run)>& test) {
  for (const std::string name :
       {"05-mountns", "06-netns-veth", "07-cgroup-memory", "08-all"}) {
    CAPTURE(name);
    const bool has_memory = name >= "07";
    test(step(caller, name,
              std::string{name >= "06" ? "--net none " : ""} +
                  (has_memory ? "--memory none" : "")));
  }
  const std::string name = "enter";
  CAPTURE(name);
  host::Running box{step(caller, "08-all", "--net none --memory none") +
                    "sh -c 'echo up; read wait'"};
  CHECK(box.hear() == "up");
  test("env ASAN_OPTIONS=detect_leaks=0 " + host::as(caller, "enter") + " " +
       std::to_string(box.pid()) + " ");
  CHECK(box.finish() == 1);
}

// An empty directory for the files of one test.
std::string place(Caller caller, const std::string& name) {
  auto path =
      host::scratch(name + (caller == Caller::kRoot ? "-root" : "-user"));
  must("rm -rf " + path + "/* && chmod 777 " + path);
  return path;
}

// A descriptor that a shell can name: dash(1) knows those of one digit.
sys::Fd lend(const sys::Fd& file) {
  sys::Fd copy{::fcntl(file.get(), F_DUPFD, 3)};
  REQUIRE(copy.get() < 10);
  return copy;
}

struct Sockets {
  explicit Sockets(int type = SOCK_STREAM) {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()) == 0);
    ours.reset(ends[0]);
    its.reset(ends[1]);
  }
  sys::Fd ours, its;
};

// The two ends of a pseudo-terminal. We lend the one that a terminal emulator
// has: it is a terminal for isatty(3), and yet nobody's terminal.
struct Keyboard {
  Keyboard() {
    int master = -1;
    int slave = -1;
    REQUIRE(::openpty(&master, &slave, nullptr, nullptr, nullptr) == 0);
    screen.reset(slave);
    keys = lend(sys::Fd{master});
  }
  [[nodiscard]] std::string as_input() const {
    return "<&" + std::to_string(keys.get());
  }
  sys::Fd screen, keys;
};

const std::string kIdentity = "stat -Lc %d:%i /proc/self/fd/";

// Lends what `where` says, as in "1>file", and compares the files behind the
// descriptor on the host and in the container.
void check_kind(const std::string& run, const std::string& where) {
  CAPTURE(where);
  const auto number = where.substr(0, 1);
  // The other of the two outputs tells.
  const auto identity = kIdentity + number + (number == "1" ? " >&2" : "");
  const auto result = shell("sh -c '" + identity + "; exec " + run +
                            "sh -c \"" + identity + "\"' " + where);
  const auto told = host::lines(number == "1" ? result.err : result.out);
  CHECK(result.status == 0);
  REQUIRE(told.size() == 2);
  // Every container has the device.
  CHECK((told[0] == told[1]) == (where == "0</dev/zero"));
}

}  // namespace

TEST_AS_BOTH("what comes out of a terminal's other end arrives, by a pipe") {
  const Keyboard keyboard;
  const auto identity = kIdentity + "0 " + keyboard.as_input();
  const auto on_host = shell(identity).out;
  CHECK_FALSE(on_host.empty());
  for_each(caller, [&](const std::string& run) {
    const std::string line = "a line\n";
    REQUIRE(::write(keyboard.screen.get(), line.data(), line.size()) == 7);
    CHECK(shell(run + "head -n 1 " + keyboard.as_input()).out == "a line\r\n");
    const auto inside = shell(run + identity).out;
    CHECK_FALSE(inside.empty());
    CHECK(inside != on_host);
  });
}

TEST_AS_BOTH("no standard stream is the caller's, of whatever kind it is") {
  const auto directory = place(caller, "kinds");
  must("echo text >" + directory + "/file && mkfifo " + directory + "/fifo");
  const Sockets sockets;
  const sys::Pipe pipe;
  const auto socket = lend(sockets.its);
  const auto read_end = lend(pipe.read_end);
  const auto write_end = lend(pipe.write_end);
  std::vector<std::string> inputs{"0</dev/zero",
                                  "0<" + directory + "/file",
                                  "0<>" + directory + "/file",
                                  "0<>" + directory + "/fifo",
                                  "0<&" + std::to_string(socket.get()),
                                  "0<&" + std::to_string(read_end.get())};
  // The kernel may refuse it to a caller whom its mode would let in.
  if (shell("exec </dev/kmsg").status == 0) inputs.emplace_back("0</dev/kmsg");
  const std::vector<std::string> outputs{
      ">" + directory + "/new", ">>" + directory + "/file",
      "<>" + directory + "/fifo", ">&" + std::to_string(socket.get()),
      ">&" + std::to_string(write_end.get())};
  for_each(caller, [&](const std::string& run) {
    for (const auto& where : inputs) check_kind(run, where);
    for (const auto& where : outputs) {
      check_kind(run, "1" + where);
      check_kind(run, "2" + where);
    }
  });
  struct stat status {};
  CHECK(::fstat(write_end.get(), &status) == 0);
  CHECK(status.st_uid == ::getuid());
  CHECK((status.st_mode & 07777) == 0600);
}

TEST_AS_BOTH("a file that is a standard stream keeps its contents and mode") {
  const auto directory = place(caller, "attacked");
  for_each(caller, [&](const std::string& run) {
    must(
        "cd " + directory + " && rm -f * && echo kept | tee in out err && " +
        (caller == Caller::kUser && ::geteuid() == 0 ? "chown 54321 *; " : "") +
        "chmod 666 out err && chmod 444 in");
    (void)shell("cd " + directory + "; " + run +
                "sh -c 'for i in 0 1 2; do chmod 4777 /proc/self/fd/$i; "
                "chmod 4777 /dev/stdin /dev/stdout /dev/stderr; "
                "echo evil >/proc/self/fd/$i; echo evil 1<>/proc/self/fd/$i; "
                "done' <in >>out 2>>err");
    CHECK(shell("cd " + directory + "; stat -c %a in out err | xargs").out ==
          "444 666 666\n");
    CHECK(host::contents(directory + "/in") == "kept\n");
    CHECK(host::contents(directory + "/out").starts_with("kept\n"));
    CHECK(host::contents(directory + "/err").starts_with("kept\n"));
  });
}

TEST_AS_BOTH("what the command does not read of a file is left there") {
  const auto directory = place(caller, "left");
  must("seq 1 20000 >" + directory + "/numbers");
  const auto rest = "cd " + directory + "; tail -n +2 numbers | cksum";
  const auto expected = shell(rest).out;
  for_each(caller, [&](const std::string& run) {
    const auto result = shell(
        "cd " + directory + "; { " + run + "sh -c 'read one; echo $one >&2'; " +
        run + "true; " + run + "sh -c 'exec <&-'; cksum; } <numbers");
    CHECK(result.out == expected);
    CHECK(result.err == "1\n");
    CHECK(shell("cd " + directory + "; seq 1 5 >five; " +
                "while read n; do echo $n; " + run + "true; done <five")
              .out == "1\n2\n3\n4\n5\n");
    CHECK(shell("seq 1 5 | while read n; do echo $n; " + run +
                "true </dev/null; done")
              .out == "1\n2\n3\n4\n5\n");
  });
}

// The lines may be cut where one reader stops and the other goes on.
// It can open its standard input by name, and write to the pipe.
TEST_AS_BOTH("the command cannot move a file to before its own start") {
  const auto directory = place(caller, "streams-rewind");
  host::must("seq 10 29 >" + directory + "/file");
  for_each(caller, [&](const std::string& run) {
    for (const std::string writes :
         {"sleep 0.2; echo -n 123456789 >/dev/stdin",
          "sleep 0.2; head -c 100 /dev/zero >/dev/stdin", "read line"}) {
      CAPTURE(writes);
      const auto result =
          shell("{ read a; read b; " + run + "sh -c '" + writes +
                "'; read c; echo $a $b $c; } <" + directory + "/file");
      CHECK(result.out ==
            "10 11 " + std::string{writes[0] == 'r' ? "13" : "12"} + "\n");
    }
  });
}

TEST_AS_BOTH("of several readers each byte comes to one") {
  const auto directory = place(caller, "shared");
  must("seq 1 20000 >" + directory + "/numbers");
  const std::string cd = "cd " + directory + "; ";
  const auto count = [&](const std::string& file) {
    return shell(cd + "od -An -v -t u1 -w1 " + file + " | sort | uniq -c").out;
  };
  const auto expected = count("numbers");
  for_each(caller, [&](const std::string& run) {
    // 06 and 07 have all this from 05.
    if (run.find("/06-") != run.npos || run.find("/07-") != run.npos) return;
    const auto both = [&](const std::string& command) {
      return "{ { for file in a b; do " + run + command +
             " <&3 >$file & done; wait; } 3<&0; }";
    };
    for (const auto& line :
         {both("cat") + " <numbers", "cat numbers | " + both("cat"),
          "cat numbers | { " + run + "cat <&3 >a & cat >b; wait; } 3<&0"}) {
      CAPTURE(line);
      must(cd + line + "; cat a b >all");
      CHECK(count("all") == expected);
    }
    // All that fits into a page comes to one of them, and once.
    const auto lines = both("sh -c 'while read j; do echo $j; done'");
    for (const auto& line :
         {"seq 1 40 | " + lines, "seq 1 40 >forty; " + lines + " <forty"}) {
      CAPTURE(line);
      must(cd + line);
      CHECK(shell(cd + "cat a b | sort -n").out == shell("seq 1 40").out);
    }
  });
}

TEST_AS_BOTH("no packet is cut") {
  for (const int type : {SOCK_DGRAM, SOCK_SEQPACKET}) {
    for_each(caller, [&](const std::string& run) {
      const Sockets sockets{type};
      const auto input = lend(sockets.its);
      for (const auto size : {6000U, 60000U}) {
        const std::string packet(size, 'x');
        REQUIRE(::send(sockets.ours.get(), packet.data(), size, 0) == size);
        CHECK(shell(run + "head -c " + std::to_string(size) + " <&" +
                    std::to_string(input.get()))
                  .out == packet);
      }
    });
  }
}

TEST_AS_BOTH("input that cannot be read is at its end") {
  for_each(caller, [&](const std::string& run) {
    CHECK(shell(run + "sh -c 'exit 3' </proc/self/mem").status == 3);
    const auto result = shell(run + "sh -c 'cat; exit 4' </proc/self/mem");
    CHECK(result.status == 4);
    CHECK(result.out.empty());
    CHECK(result.err.find("read(2) standard input") != result.err.npos);
  });
}

TEST_AS_BOTH("nobody waits for input of a kind that is never read") {
  const sys::Fd epoll{::epoll_create1(0)};
  const sys::Fd listening{::socket(AF_INET, SOCK_STREAM, 0)};
  const sys::Fd local{::socket(AF_UNIX, SOCK_STREAM, 0)};
  REQUIRE(::listen(listening.get(), 1) == 0);
  const sys::Fd path{::open("/etc/passwd", O_PATH)};
  for (const auto* const fd : {&epoll, &listening, &local, &path}) {
    const auto input = lend(*fd);
    for_each(caller, [&](const std::string& run) {
      const auto result =
          shell("timeout 60 " + run + "sh -c 'cat 2>&1; exit 4' <&" +
                std::to_string(input.get()));
      CHECK(result.status == 4);
      CHECK(result.out.find("read error") != result.out.npos);
    });
  }
}

TEST_AS_BOTH("a stream that the command closes is closed for the caller, too") {
  for_each(caller, [&](const std::string& run) {
    // cat ends before the command, which waits for it.
    const auto go = place(caller, "closed") + "/go";
    must("mkfifo " + go + "; timeout 20 sh -c '{ " + run +
         "sh -c \"exec >&-; read wait\" 0<>" + go + "; } | { cat; echo >" + go +
         "; }'; rm " + go);
    sys::Pipe pipe;
    auto input = lend(pipe.read_end);
    const auto number = std::to_string(input.get());
    host::Running box{run + "sh -c 'exec <&-; echo closed; sleep 1000' <&" +
                      number + " " + number + "<&-"};
    CHECK(box.hear() == "closed");
    pipe.read_end.reset();
    input.reset();
    pollfd writes{.fd = pipe.write_end.get(), .events = 0, .revents = 0};
    CHECK(::poll(&writes, 1, 10000) == 1);
    CHECK((writes.revents & POLLERR) != 0);
    ::kill(box.pid(), SIGTERM);
    (void)box.finish();
  });
}

TEST_AS_BOTH("all bytes arrive, in both directions, and the end as well") {
  const auto directory = place(caller, "bytes");
  must("head -c 3000000 /dev/urandom >" + directory + "/bytes");
  for_each(caller, [&](const std::string& run) {
    for (const auto& line :
         {run + "cat <bytes >copy", "cat bytes | " + run + "cat | cat >copy",
          run + "cat <bytes >>copy",
          run + "sh -c 'sleep 1000 & exec cat' <bytes >copy"}) {
      CAPTURE(line);
      must("cd " + directory + "; : >copy; " + line + "; cmp bytes copy");
    }
    // Read late, and slowly.
    must("cd " + directory + "; " + run +
         "cat <bytes | { sleep 0.2; dd bs=1000 2>/dev/null; } | cmp - bytes");
  });
}

TEST_AS_BOTH("standard output and standard error stay in order") {
  const auto file = place(caller, "order") + "/log";
  const std::string print =
      "sh -c 'i=0; while [ $i -lt 300 ]; do echo $i; i=$((i+1)); "
      "echo $i >&2; i=$((i+1)); done'";
  const auto expected = shell("seq 0 299").out;
  for_each(caller, [&](const std::string& run) {
    CHECK(shell(run + print + " 2>&1").out == expected);
    for (const auto& where :
         {" >" + file + " 2>&1", " >>" + file + " 2>>" + file}) {
      must(": >" + file + "; " + run + print + where);
      CHECK(host::contents(file) == expected);
    }
  });
}

TEST_AS_BOTH("its output that cannot be written is an error, and told") {
  const auto directory = place(caller, "limit");
  for_each(caller, [&](const std::string& run) {
    for (const std::string command : {"seq 100000", "seq 3000", "yes"}) {
      CAPTURE(command);
      const auto result = shell("cd " + directory + "; ulimit -f 8; exec " +
                                run + command + " >file");
      CHECK(result.status == 125);
      CHECK(result.err.find("write(2) to standard output: File too large "
                            "(EFBIG)") != result.err.npos);
      CHECK(std::filesystem::file_size(directory + "/file") == 4096);
    }
  });
}

TEST_AS_BOTH("a reader that goes away ends the command") {
  for_each(caller, [&](const std::string& run) {
    const auto result = shell("{ " + run +
                              "yes 2>/dev/null; "
                              "echo $? >&2; } | head -n 1");
    CHECK(result.out == "y\n");
    // To PID 1 it is only an error: see pid_namespaces(7).
    const bool has_init =
        run.find("/08-all ") != run.npos || run.find("/enter ") != run.npos;
    CHECK(result.err == (has_init ? "141\n" : "1\n"));
    // Also if it goes before the first word.
    sys::Pipe pipe;
    const auto output = lend(pipe.write_end);
    host::Running late{run +
                       "sh -c 'echo up >&2; read wait; "
                       "while echo more; do :; done; exit 7' 2>&1 >&" +
                       std::to_string(output.get())};
    CHECK(late.hear() == "up");
    pipe.read_end.reset();
    late.say("go on");
    const int status = late.finish();
    CHECK(status == (has_init ? 141 : 7));
  });
}

TEST_AS_BOTH("TERM ends it, even if nobody reads what it prints") {
  for_each(caller, [&](const std::string& run) {
    // Each takes a second, and 06 and 07 have all this from 05.
    if (run.find("/06-") != run.npos || run.find("/07-") != run.npos) return;
    host::Running box{run + "yes"};
    CHECK(box.hear() == "y");
    ::kill(box.pid(), SIGTERM);
    CHECK(box.finish() == 128 + SIGTERM);
  });
}

// A process that waits in sendfile(2) from a terminal to a pipe keeps the pipe
// locked: the kernel lets nobody read it meanwhile, and no signal ends the
// wait.
TEST_AS_BOTH("TERM and KILL end it, even if it holds its output up") {
  for_each(caller, [&](const std::string& run) {
    if (run.find("/06-") != run.npos || run.find("/07-") != run.npos) return;
    for (const int signal : {SIGTERM, SIGKILL}) {
      host::Running box{run + "sh -c 'seq 20000; exec cat /dev/ptmx'"};
      CHECK(host::comes_to_run(box.pid(), "cat"));
      CHECK(box.hear() == "1");  // So there is room, and it goes on.
      ::kill(box.pid(), signal);
      CHECK(box.finish() == 128 + signal);
    }
  });
  // Of a program that was killed, they stay.
  for (const auto& group : host::our_cgroups()) must("rmdir '" + group + "'");
}

TEST_AS_BOTH("a small stack is enough") {
  CHECK(shell("ulimit -s 64; " +
              step(caller, "08-all", "--net none --memory none") +
              "echo hi </dev/null | cat")
            .out == "hi\n");
}

TEST_AS_BOTH("its streams have names that it can open, file or not") {
  const auto file = place(caller, "names") + "/file";
  const std::string print =
      "sh -c 'echo 1 >/dev/stdout; echo 2 >/dev/stderr; "
      "echo 3 >/proc/self/fd/1; cat /dev/stdin'";
  for_each(caller, [&](const std::string& run) {
    CHECK(shell("echo 4 | " + run + print + " 2>&1").out == "1\n2\n3\n4\n");
    must("echo 4 >" + file + ".in; " + run + print + " <" + file + ".in >" +
         file + " 2>&1");
    CHECK(host::contents(file) == "1\n2\n3\n4\n");
  });
}

TEST_AS_BOTH("a stream that is closed, or open the wrong way, is no stream") {
  const auto file = place(caller, "wrong") + "/file";
  for_each(caller, [&](const std::string& run) {
    for (const auto& wrong : {"0>" + file, std::string{"0>/dev/null"}})
      CHECK(
          shell(run + "sh -c 'read x 2>/dev/null || echo none' " + wrong).out ==
          "none\n");
    must("echo kept >" + file);
    CHECK(
        shell(run + "sh -c 'echo x 2>/dev/null || exit 3' 1<" + file).status ==
        3);
    CHECK(host::contents(file) == "kept\n");
    CHECK(shell(run + "true </etc").status == 125);
    CHECK(shell(run + "sh -c 'echo x' >&-").status == 0);
  });
}

TEST_SUITE_END();
