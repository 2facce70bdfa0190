#include "common/file.hpp"

#include <doctest/doctest.h>

#include "common/error.hpp"
#include "common/testing.hpp"

using testing::error_of;

TEST_SUITE_BEGIN("common/file");

TEST_CASE("read_file returns all of a file, however long") {
  const testing::Directory directory;
  const std::string text(100'000, 'x');
  CHECK(sys::read_file(directory.make_file("long", text)) == text);
  CHECK(sys::read_file(directory.make_file("empty")).empty());
}

TEST_CASE("read_file reads what says it has no size") {
  CHECK(sys::read_file("/proc/self/status").starts_with("Name:"));
}

TEST_CASE("read_file says what it could not open or read") {
  const auto missing = error_of([] { sys::read_file("/no/such"); });
  CHECK(missing.attempt().text == "open(2) /no/such");
  CHECK(missing.code() == std::errc::no_such_file_or_directory);

  const auto directory = error_of([] { sys::read_file("/"); });
  CHECK(directory.attempt().text == "read(2) /");
  CHECK(directory.code() == std::errc::is_a_directory);
}

TEST_CASE("write_file writes the text, no more and no less") {
  const testing::Directory directory;
  const auto path = directory.make_file("value");
  sys::write_file(path, "0 100000 65536");
  CHECK(sys::read_file(path) == "0 100000 65536");
}

TEST_CASE("write_file makes no file: one of the kernel's is there or not") {
  const testing::Directory directory;
  const auto path = directory / "memory.max";
  const auto error =
      error_of([&] { sys::write_file(path, "1", "is it mounted?"); });
  CHECK(error.attempt().text == "open(2) " + path);
  CHECK(error.code() == std::errc::no_such_file_or_directory);
  CHECK(error.hint() == "is it mounted?");
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("write_file says when the kernel refuses the value") {
  const auto error =
      error_of([] { sys::write_file("/dev/full", "1", "make room"); });
  CHECK(error.attempt().text == "write(2) '1' to /dev/full");
  CHECK(error.code() == std::errc::no_space_on_device);
  CHECK(error.hint() == "make room");
}

TEST_CASE("write_file_if_there forgives a missing file, and nothing else") {
  const testing::Directory directory;
  const auto path = directory.make_file("memory.swap.max");
  sys::write_file_if_there(path, "0");
  CHECK(sys::read_file(path) == "0");

  CHECK_NOTHROW(sys::write_file_if_there(directory / "missing", "0"));
  CHECK_FALSE(std::filesystem::exists(directory / "missing"));
  CHECK_THROWS_AS(sys::write_file_if_there("/dev/full", "0"), sys::Error);
}

TEST_SUITE_END();
