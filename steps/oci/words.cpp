#include "steps/oci/words.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <set>
#include <stdexcept>

#include "steps/oci/bundle.hpp"

namespace {

const std::set<std::string> kWithValue{
    "--root",           "--log",     "--log-format", "--bundle", "--pid-file",
    "--console-socket", "--process", "--format"};
const std::set<std::string> kAlone{"--detach", "--force",   "--all",
                                   "--tty",    "--version", "--no-new-keyring"};

}  // namespace

bool Words::has(const std::string& name) const {
  return options.contains(name);
}

std::string Words::value(const std::string& name,
                         const std::string& otherwise) const {
  return has(name) ? options.at(name) : otherwise;
}

void read_words(int argc, char** argv, Words& words) {
  for (int i = 1; i < argc; ++i) {
    const std::string word{argv[i]};
    if (!word.starts_with('-'))
      words.plain.push_back(word);
    else if (kAlone.contains(word))
      words.options[word] = "";
    else if (kWithValue.contains(word) && i + 1 < argc)
      words.options[word] = argv[++i];
    else
      throw std::invalid_argument{"there is no option " + word};
  }
}

void Log::open(const Words& words) {
  if (words.has("--log"))
    file_ =
        open_file(words.value("--log"), O_WRONLY | O_APPEND | O_CREAT, 0644);
}

void Log::tell(const std::exception& error) const {
  std::string text = error.what();
  if (const auto* const call = dynamic_cast<const sys::Error*>(&error))
    text = sys::format("{}: {}", call->attempt().text,
                       std::strerror(call->code().value()));
  text = R"({"level": "error", "msg": )" + sys::json_string(text) + "}\n";
  [[maybe_unused]] const auto n =
      ::write(file_.get(), text.data(), text.size());
}
