#include "steps/05-mountns/binds.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/error.hpp"
#include "common/file.hpp"
#include "common/testing.hpp"

namespace fs = std::filesystem;

using testing::error_of, testing::flags_of, testing::in_private_mounts,
    testing::may_write;

TEST_SUITE_BEGIN("05-mountns/binds");

TEST_CASE("binds are nosuid and nodev, all the way down; :ro ones read-only" *
          doctest::skip(::geteuid() != 0)) {
  in_private_mounts([](const testing::Directory& directory) {
    fs::create_directories(directory / "source/below");
    sys::mount("tmpfs", directory / "source/below", "tmpfs", 0, nullptr);
    const std::vector<sys::Bind> binds{
        {directory / "source", directory / "rw", false},
        {directory / "source", directory / "ro", true}};
    sys::place_binds(binds, sys::copy_binds(binds));

    constexpr unsigned long kSafe = ST_NOSUID | ST_NODEV;
    for (const char* const path : {"rw", "rw/below", "ro", "ro/below"})
      CHECK((flags_of(directory / path) & kSafe) == kSafe);
    for (const char* const path : {"rw", "rw/below", "source", "source/below"})
      CHECK(may_write(directory / path));
    for (const char* const path : {"ro", "ro/below"})
      CHECK_FALSE(may_write(directory / path));
    CHECK((flags_of(directory / "source") & kSafe) == 0);
  });
}

TEST_CASE("place_binds makes a directory for a directory, a file for a file" *
          doctest::skip(::geteuid() != 0)) {
  in_private_mounts([](const testing::Directory& directory) {
    directory.make_file("source/file", "text");
    const std::vector<sys::Bind> binds{
        {directory / "source", directory / "new-directory"},
        {directory / "source/file", directory / "new-file"}};
    sys::place_binds(binds, sys::copy_binds(binds));
    CHECK(sys::read_file(directory / "new-directory/file") == "text");
    CHECK(sys::read_file(directory / "new-file") == "text");
  });
}

TEST_CASE("place_binds covers what is there, if it is of the same kind" *
          doctest::skip(::geteuid() != 0)) {
  in_private_mounts([](const testing::Directory& directory) {
    directory.make_file("source/file", "new");
    directory.make_file("old/file", "old");
    const auto place = [&](const std::string& source,
                           const std::string& target) {
      const std::vector<sys::Bind> binds{
          {directory / source, directory / target}};
      sys::place_binds(binds, sys::copy_binds(binds));
    };
    place("source/file", "old/file");
    CHECK(sys::read_file(directory / "old/file") == "new");
    CHECK_THROWS_AS(place("source", "old/file"), sys::Error);
    CHECK_THROWS_AS(place("source/file", "old"), sys::Error);
    place("source", "old");
    CHECK(sys::read_file(directory / "old/file") == "new");
  });
}

TEST_CASE("place_binds makes no more than the last part of a target" *
          doctest::skip(::geteuid() != 0)) {
  in_private_mounts([](const testing::Directory& directory) {
    const std::vector<sys::Bind> binds{
        {directory.path(), directory / "missing/target"}};
    const auto error =
        error_of([&] { sys::place_binds(binds, sys::copy_binds(binds)); });
    CHECK(error.attempt().text ==
          "openat2(2) " + (directory / "missing/") + ": find it in the rootfs");
    CHECK(error.hint() == "make that directory first");
  });
}

TEST_CASE("place_binds follows no link to an open file" *
          doctest::skip(::geteuid() != 0)) {
  in_private_mounts([](const testing::Directory& directory) {
    const testing::Directory outside;
    const sys::Fd leak{::open(outside.path().c_str(), O_PATH | O_CLOEXEC)};
    std::filesystem::create_symlink(
        sys::format("/proc/{}/fd/{}", ::getpid(), leak.get()),
        directory / "link");
    const std::vector<sys::Bind> binds{
        {directory.path(), directory / "link/made"}};
    const auto error =
        error_of([&] { sys::place_binds(binds, sys::copy_binds(binds)); });
    CHECK(error.code() == std::errc::too_many_symbolic_link_levels);
    CHECK(std::filesystem::is_empty(outside.path()));
  });
}

TEST_CASE("what is mounted in a source later does not come through" *
          doctest::skip(::geteuid() != 0)) {
  in_private_mounts([](const testing::Directory& directory) {
    for (const std::string name : {"source", "source/below", "target"})
      std::filesystem::create_directory(directory / name);
    sys::mount("tmpfs", directory / "source", "tmpfs", 0, nullptr);
    std::filesystem::create_directory(directory / "source/below");
    sys::mount(nullptr, directory / "source", nullptr, MS_SHARED, nullptr);
    const std::vector<sys::Bind> binds{
        {directory / "source", directory / "target"}};
    sys::place_binds(binds, sys::copy_binds(binds));
    sys::mount("tmpfs", directory / "source/below", "tmpfs", 0, nullptr);
    std::ofstream{directory / "source/below/late"} << "x";
    CHECK(std::filesystem::is_empty(directory / "target/below"));
  });
}

TEST_CASE("a source that is not there is named" *
          doctest::skip(::geteuid() != 0)) {
  const auto error = error_of([] {
    sys::copy_binds({{"/no/such", "/x", false}});
  });
  CHECK(error.attempt().text == "access(2) /no/such: find it for --bind");
  CHECK(error.code() == std::errc::no_such_file_or_directory);
}

TEST_SUITE_END();
