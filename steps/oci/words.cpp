#include "steps/oci/words.hpp"

#include <cstring>
#include <fstream>

#include "common/error.hpp"

namespace {

const std::map<std::string, bool> kTakesValue{
    {"--root", true},           {"--log", true},
    {"--log-format", true},     {"--bundle", true},
    {"--pid-file", true},       {"--console-socket", true},
    {"--process", true},        {"--preserve-fds", true},
    {"--format", true},         {"--debug", false},
    {"--detach", false},        {"--force", false},
    {"--all", false},           {"--tty", false},
    {"--version", false},       {"--help", false},
    {"--no-new-keyring", false}};

}  // namespace

void read_words(int argc, char** argv, Words& words) {
  for (int i = 1; i < argc; ++i) {
    const std::string word{argv[i]};
    const auto equals = std::min(word.find('='), word.size());
    const auto name = word.substr(0, equals);
    if (!word.starts_with('-'))
      words.plain.push_back(word);
    else if (!kTakesValue.contains(name))
      throw std::invalid_argument{"there is no option " + name};
    else if (equals != word.size())
      words.options[name] = word.substr(equals + 1);
    else if (!kTakesValue.at(name))
      words.options[name] = "";
    else if (i + 1 == argc)
      throw std::invalid_argument{name + " needs a value"};
    else
      words.options[name] = argv[++i];
  }
}

void log_error(const Words& words, const std::exception& error) {
  if (!words.has("--log")) return;
  std::string text = error.what();
  if (const auto* const call = dynamic_cast<const sys::Error*>(&error))
    text = sys::format("{}: {}", call->attempt().text,
                       std::strerror(call->code().value()));
  std::ofstream{words.value("--log"), std::ios::app}
      << "{\"level\": \"error\", \"msg\": " << sys::json_string(text) << "}\n";
}
