// What we remember of a container between two commands: a directory below
// --root, with its config.json, its first process, and the FIFO at which it
// waits.

#pragma once

#include <sys/types.h>  // pid_t

#include <string>
#include <vector>

#include "common/cgroup.hpp"
#include "steps/oci/bundle.hpp"

/// The version of the specification that keys.txt is about.
inline constexpr const char* kSpecification = "1.3.0";

/// A container of `create`.
class Container {
 public:
  /// The id can be any text of a caller. It becomes the name of a directory.
  Container(const std::string& root, const std::string& id);

  /// Makes the directory. Throws if the id is taken.
  void make(const Json& config, const std::string& bundle);
  /// Remembers the first process, or 0 before there is one. From then on the
  /// cgroups are the container's.
  void save(pid_t pid);
  /// Reads what an earlier command has saved. Throws if there is nothing.
  void load();
  /// Forgets the container.
  void remove() const;

  /// Whether the id is taken.
  [[nodiscard]] bool exists() const;
  /// Where the container waits for the byte that `start` writes.
  [[nodiscard]] std::string start_fifo() const { return directory_ + "/start"; }
  /// "creating", "created", "running", "paused" or "stopped".
  [[nodiscard]] std::string status() const;
  /// Throws if the status is not one of these.
  void must_be(const std::vector<std::string>& wanted) const;
  /// What `state` prints, and hooks read.
  [[nodiscard]] Json state() const;
  /// The first process, or 0.
  [[nodiscard]] pid_t pid() const;
  /// The config.json of which it was made.
  [[nodiscard]] const Json& config() const { return config_; }
  /// Its cgroups, which only this container uses; none until they are made.
  [[nodiscard]] std::vector<sys::Cgroup> cgroups() const;
  /// A descriptor for the first process, and for no later one with its PID;
  /// none if it has ended.
  [[nodiscard]] sys::Fd open_process() const;

 private:
  std::string id_, directory_;
  Json config_, saved_;
};
