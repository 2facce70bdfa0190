// The command line of an OCI runtime: Podman, conmon and containerd's shim all
// use the same words.

#pragma once

#include <exception>
#include <map>
#include <string>
#include <vector>

#include "common/fd.hpp"

/// `oci --root /run/x kill --all ID 9` has two options and three plain words.
struct Words {
  std::map<std::string, std::string> options;
  std::vector<std::string> plain;  ///< The command, the id, and what follows.

  [[nodiscard]] bool has(const std::string& name) const;
  [[nodiscard]] std::string value(const std::string& name,
                                  const std::string& otherwise = {}) const;
};

/// Reads the command line into `words`. Throws at an option that we do not
/// know, because what it asks for would not be done.
void read_words(int argc, char** argv, Words& words);

/// Tells of an error in the file of --log, as one JSON object on a line. The
/// file is opened before `exec` leaves the mount namespace of the host.
class Log {
 public:
  void open(const Words& words);
  void tell(const std::exception& error) const;

 private:
  sys::Fd file_;
};
