#include "common/mount.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "common/error.hpp"
#include "common/file.hpp"
#include "common/testing.hpp"

namespace fs = std::filesystem;

using testing::error_of, testing::flags_of, testing::in_private_mounts,
    testing::may_write;

TEST_SUITE_BEGIN("common/mount");

TEST_CASE("make_directory makes one that all may enter, and only once") {
  const testing::Directory directory;
  const auto path = directory / "new";
  const auto before = ::umask(022);
  sys::make_directory(path);
  ::umask(before);
  CHECK(fs::status(path).permissions() == fs::perms{0755});

  const auto error = error_of([&] { sys::make_directory(path); });
  CHECK(error.attempt().text == "mkdir(2) " + path);
  CHECK(error.code() == std::errc::file_exists);
}

TEST_CASE("a mount that fails says what was to be mounted where") {
  const auto typed =
      error_of([] { sys::mount("proc", "no-such/proc", "proc", 0, nullptr); });
  CHECK(typed.attempt().text == "mount(2) proc on /no-such/proc");
  const auto bind = error_of(
      [] { sys::mount("/no/such", "/etc", nullptr, MS_BIND, nullptr); });
  CHECK(bind.attempt().text == "mount(2) MS_BIND /no/such on /etc");
  const auto change = error_of(
      [] { sys::mount(nullptr, "/no/such", nullptr, MS_PRIVATE, nullptr); });
  CHECK(change.attempt().text == "mount(2) MS_PRIVATE on /no/such");
  const auto again = error_of([] {
    sys::mount(nullptr, "/no/such", nullptr, MS_REMOUNT | MS_BIND, nullptr);
  });
  CHECK(again.attempt().text == "mount(2) MS_REMOUNT|MS_BIND on /no/such");
}

TEST_CASE("copy_mount and set_mount_attributes name the path they cannot") {
  const auto copy = error_of([] { sys::copy_mount("/no/such"); });
  CHECK(copy.attempt().text == "open_tree(2) /no/such: copy the mount");
  const auto attributes = error_of(
      [] { sys::set_mount_attributes("/no/such", MOUNT_ATTR_RDONLY); });
  CHECK(attributes.attempt().text ==
        "mount_setattr(2) MOUNT_ATTR_RDONLY on /no/such");
}

TEST_CASE("mount mounts, here and nowhere else" *
          doctest::skip(::geteuid() != 0)) {
  const testing::Directory directory;
  testing::in_namespaces(CLONE_NEWNS, [&] {
    sys::mount("tmpfs", directory.path(), "tmpfs", MS_NOSUID, nullptr);
    CHECK((flags_of(directory.path()) & ST_NOSUID) != 0);
    directory.make_file("inside");
  });
  CHECK(fs::is_empty(directory.path()));
}

TEST_CASE("bind_file shows a file at a place that it makes" *
          doctest::skip(::geteuid() != 0)) {
  in_private_mounts([](const testing::Directory& directory) {
    const auto source = directory.make_file("source", "the host's");
    sys::bind_file(source, directory / "target");
    CHECK(sys::read_file(directory / "target") == "the host's");

    const auto over = directory.make_file("over", "covered");
    sys::bind_file(source, over);
    CHECK(sys::read_file(over) == "the host's");
  });
}

TEST_CASE("bind_file follows no link that a hostile image has in its way" *
          doctest::skip(::geteuid() != 0)) {
  in_private_mounts([](const testing::Directory& directory) {
    const auto source = directory.make_file("source", "ours");
    const auto outside = directory.make_file("outside", "the host's");
    fs::create_symlink(outside, directory / "link");
    fs::create_symlink(directory / "new", directory / "dangling");

    const auto error =
        error_of([&] { sys::bind_file(source, directory / "link"); });
    CHECK(error.attempt().text == "open(2) O_CREAT " + (directory / "link"));
    CHECK(error.code() == std::errc::too_many_symbolic_link_levels);
    CHECK(sys::read_file(outside) == "the host's");
    CHECK_THROWS(sys::bind_file(source, directory / "dangling"));
    CHECK_FALSE(fs::exists(directory / "new"));
  });
}

TEST_CASE("a copied mount is its own: it outlives what it was copied from" *
          doctest::skip(::geteuid() != 0)) {
  in_private_mounts([](const testing::Directory& directory) {
    sys::make_directory(directory / "source");
    sys::make_directory(directory / "target");
    sys::mount("tmpfs", directory / "source", "tmpfs", 0, nullptr);
    directory.make_file("source/file", "text");
    const auto copy = sys::copy_mount(directory / "source");
    REQUIRE(::umount2((directory / "source").c_str(), 0) == 0);

    sys::place_mount(copy, directory / "target");
    CHECK(sys::read_file(directory / "target/file") == "text");
    CHECK(fs::is_empty(directory / "source"));
  });
}

TEST_CASE("a copied mount brings along what is mounted below it" *
          doctest::skip(::geteuid() != 0)) {
  in_private_mounts([](const testing::Directory& directory) {
    fs::create_directories(directory / "source/below");
    sys::make_directory(directory / "target");
    sys::mount("tmpfs", directory / "source/below", "tmpfs", 0, nullptr);
    directory.make_file("source/below/file", "text");
    sys::place_mount(sys::copy_mount(directory / "source"),
                     directory / "target");
    CHECK(sys::read_file(directory / "target/below/file") == "text");
  });
}

TEST_CASE("no exec takes a copied mount along" *
          doctest::skip(::geteuid() != 0)) {
  in_private_mounts([](const testing::Directory& directory) {
    const auto copy = sys::copy_mount(directory.path());
    CHECK(::fcntl(copy.get(), F_GETFD) == FD_CLOEXEC);
  });
}

TEST_CASE("place_mount says where there is no place" *
          doctest::skip(::geteuid() != 0)) {
  in_private_mounts([](const testing::Directory& directory) {
    const auto copy = sys::copy_mount(directory.path());
    const auto error =
        error_of([&] { sys::place_mount(copy, directory / "missing"); });
    CHECK(error.attempt().text ==
          "move_mount(2) the copy to " + (directory / "missing"));
    CHECK(error.code() == std::errc::no_such_file_or_directory);
  });
}

TEST_CASE("set_mount_attributes changes one mount, not the files in it" *
          doctest::skip(::geteuid() != 0)) {
  in_private_mounts([](const testing::Directory& directory) {
    sys::make_directory(directory / "source");
    sys::make_directory(directory / "target");
    sys::mount((directory / "source").c_str(), directory / "target", nullptr,
               MS_BIND, nullptr);
    sys::set_mount_attributes(directory / "target", MOUNT_ATTR_RDONLY);
    CHECK_FALSE(may_write(directory / "target"));
    CHECK(may_write(directory / "source"));
  });
}

TEST_SUITE_END();
