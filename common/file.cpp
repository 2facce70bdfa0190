#include "common/file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "common/fd.hpp"

namespace sys {

std::string read_all(const Fd& file, const std::string& name) {
  std::string text;
  std::array<char, 4096> chunk{};
  for (;;) {
    const auto n = ::read(file.get(), chunk.data(), chunk.size());
    if (n == -1) throw Error{errno, "read(2) " + name};
    if (n == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(n));
  }
}

std::string read_file(const std::string& path) {
  const Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.get() == -1) throw Error{errno, "open(2) " + path};
  return read_all(file, path);
}

std::string read_file_if_there(const std::string& path) {
  try {
    auto text = read_file(path);
    text.erase(text.find_last_not_of(" \n") + 1);
    return text;
  } catch (const Error& error) {
    const int errnum = error.code().value();
    if (errnum != ENOENT && errnum != ENOTDIR && errnum != EACCES) throw;
    return {};
  }
}

void write_file(const std::string& path, const std::string& text,
                const std::string& hint) {
  const Fd file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  if (file.get() == -1) throw Error{errno, "open(2) " + path, hint};
  const auto doing = sys::format("write(2) '{}' to {}", text, path);
  if (::write(file.get(), text.data(), text.size()) == -1)
    throw Error{errno, doing, hint};
  narrate("{}", doing);
}

void write_file_if_there(const std::string& path, const std::string& text) {
  if (::access(path.c_str(), F_OK) == 0) write_file(path, text);
}

}  // namespace sys
