#include "common/fd.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <stdexcept>
#include <type_traits>
#include <utility>

#include "common/testing.hpp"

namespace {

sys::Fd open_null() {
  return sys::Fd{::open("/dev/null", O_RDWR | O_CLOEXEC)};
}

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) != -1;
}

}  // namespace

TEST_SUITE_BEGIN("common/fd");

TEST_CASE("Fd closes what it owns") {
  int raw = -1;
  {
    const sys::Fd fd = open_null();
    raw = fd.get();
    REQUIRE(is_open(raw));
  }
  CHECK_FALSE(is_open(raw));
}

TEST_CASE("a moved Fd has one owner, and nobody can copy it") {
  sys::Fd first = open_null();
  const int raw = first.get();
  {
    const sys::Fd second = std::move(first);
    CHECK(first.get() == -1);  // NOLINT
    CHECK(second.get() == raw);
  }
  CHECK_FALSE(is_open(raw));
  CHECK_FALSE(std::is_copy_constructible_v<sys::Fd>);
  CHECK_FALSE(std::is_copy_assignable_v<sys::Fd>);
}

TEST_CASE("an Fd that gets another descriptor closes the one it had") {
  sys::Fd fd = open_null();
  const int first = fd.get();
  sys::Fd other = open_null();
  const int second = other.get();

  fd = std::move(other);
  CHECK_FALSE(is_open(first));
  CHECK(fd.get() == second);

  fd.reset();
  CHECK_FALSE(is_open(second));
  CHECK(fd.get() == -1);
}

TEST_CASE("what goes into a Pipe comes out, and its end is seen") {
  sys::Pipe pipe;
  REQUIRE(::write(pipe.write_end.get(), "x", 1) == 1);
  pipe.write_end.reset();
  char byte = 0;
  CHECK(::read(pipe.read_end.get(), &byte, 1) == 1);
  CHECK(byte == 'x');
  CHECK(testing::is_at_end(pipe.read_end));
}

TEST_CASE("no exec takes a Pipe along") {
  const sys::Pipe pipe;
  CHECK(::fcntl(pipe.read_end.get(), F_GETFD) == FD_CLOEXEC);
  CHECK(::fcntl(pipe.write_end.get(), F_GETFD) == FD_CLOEXEC);
}

TEST_CASE("Defer undoes at the end of its scope, the last thing first") {
  std::string done;
  {
    const sys::Defer first{[&] { done += "unmake "; }};
    const sys::Defer second{[&] { done += "unmount "; }};
    done += "work ";
  }
  CHECK(done == "work unmount unmake ");
}

TEST_CASE("Defer undoes when an exception passes, which goes on") {
  bool undone = false;
  const auto fail = [&] {
    const sys::Defer undo{[&] { undone = true; }};
    throw std::runtime_error{"half-way"};
  };
  CHECK_THROWS_WITH_AS(fail(), "half-way", std::runtime_error);
  CHECK(undone);
}

TEST_CASE("an undo that fails is reported, and hides no other failure") {
  const auto fail = [] {
    const sys::Defer undo{[] { throw sys::Error{EBUSY, "remove /x"}; }};
    throw std::runtime_error{"half-way"};
  };
  const auto text = testing::written_to(STDERR_FILENO, [&] {
    CHECK_THROWS_WITH_AS(fail(), "half-way", std::runtime_error);
  });
  CHECK(text.find("cannot remove /x: Device or resource busy (EBUSY)") !=
        text.npos);
}

TEST_SUITE_END();
