// scripts/setup installs nothing here: what it would do, and under which names.

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <sstream>

#include "steps/tests/host.hpp"

using host::shell;

TEST_SUITE_BEGIN("setup");

TEST_CASE("a row of the table has a check and five names") {
  const auto rows = host::lines(
      shell("sed -n '/^# when /,/^END/p' scripts/setup | grep -v '^END' | "
            "awk -F '|' '{ print NF }' | sort -u")
          .out);
  CHECK(rows == std::vector<std::string>{"7"});
  for (const std::string manager : {"apt", "dnf", "pacman", "apk", "zypper"})
    CHECK(
        shell("scripts/setup --list " + manager + " test | grep -x git").out ==
        "git\n");
}

TEST_AS_ROOT("without a package manager one line says what is missing") {
  const auto result = shell(
      "unshare --mount sh -c 'for name in apt-get dnf zypper pacman apk; do "
      "for place in /usr/bin /usr/sbin /usr/local/bin; do "
      "[ ! -e $place/$name ] || mount --bind /dev/null $place/$name; done; "
      "done;"
      "CXX=no-such-g++ scripts/setup --dry-run'");
  CHECK(result.status == 1);
  CHECK(result.out.empty());
  CHECK(result.err ==
        "setup: no package manager known here; missing: compiler no-such-g++ "
        "-std=c++20, linker no-such-g++ -static; see "
        "steps/hosts.md\n");
}

TEST_CASE("where there is no Linux, it says so before all else") {
  const auto place = host::scratch("mac");
  host::must("cd " + place +
             " && printf '#!/bin/sh\\necho Darwin\\n' >uname && "
             "chmod 755 uname");
  const auto result = shell("PATH=" + place + ":$PATH scripts/setup run");
  CHECK(result.status == 1);
  CHECK(host::lines(result.err).size() == 1);
  CHECK(result.err.find("this is Darwin, and containers are made of Linux") !=
        std::string::npos);
}

TEST_AS_ROOT("in a copy of somebody else's, it says what makes it ours") {
  const auto place = host::scratch("foreign");
  host::must("cp -r scripts " + place + " && chmod 755 " + place);
  const auto result =
      shell("cd / && setpriv --reuid 54321 --regid 54321 --clear-groups sh " +
            place + "/scripts/setup run");
  CHECK(result.status == 1);
  CHECK(result.err.find("hint: sudo chown -R 54321:54321 '" + place + "'") !=
        std::string::npos);
}

// ---- What the texts name ----------------------------------------------------

namespace {

namespace fs = std::filesystem;
using Words = std::set<std::string>;

Words words_of(const std::string& command) {
  Words all;
  std::istringstream text{shell(command).out};
  for (std::string word; text >> word;) all.insert(word);
  return all;
}

// What `make` can be told to do, "check-03" too.
const Words& targets() {
  static const auto all = words_of(
      "make -pn help 2>/dev/null | sed -n "
      "'s/^\\([a-z0-9][a-z0-9-]*\\):.*/\\1/p'");
  return all;
}

Words wants() {
  auto all = words_of(
      "sed -n 's/^#   WHAT *//p' scripts/setup | tr -d , | sed 's/ or / /'");
  for (const auto* const option :
       {"--list", "--dry-run", "apt", "dnf", "pacman", "apk", "zypper"})
    all.insert(option);
  return all;
}

// Every text of the project, but what was made or fetched, and the tests, which
// also name what there must not be.
std::vector<fs::path> files() {
  std::vector<fs::path> all;
  const Words no_text{"package-lock.json", "words.txt"};
  for (const std::string top :
       {"Makefile", "README.md", ".ci", ".devcontainer", ".lima.yaml", "common",
        "rootfs", "scripts", "slides", "steps"}) {
    if (fs::is_regular_file(top)) all.emplace_back(top);
    if (!fs::is_directory(top)) continue;
    for (auto entry = fs::recursive_directory_iterator{top};
         entry != fs::recursive_directory_iterator{}; ++entry) {
      const auto name = entry->path().filename().string();
      const bool is_test =
          name.find("_test.") != name.npos || name == "test.cpp";
      if (name == "node_modules" || name == "__pycache__")
        entry.disable_recursion_pending();
      else if (entry->is_regular_file() &&
               entry->path().extension() != ".svg" && !is_test &&
               no_text.count(name) == 0)
        all.push_back(entry->path());
    }
  }
  return all;
}

bool is_of_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' ||
         c == '_';
}

// The word that begins at `at`, "" if none does.
std::string word_at(const std::string& text, std::size_t at) {
  auto end = at;
  while (end < text.size() && is_of_word(text[end])) ++end;
  return text.substr(at, end - at);
}

// Whether what begins at `at` is a command, and no sentence about making: by
// what is in front of it.
bool is_command(const std::string& line, std::size_t at) {
  auto before = line.substr(0, at);
  if (before.empty()) return false;
  for (const std::string mark :
       {"`", "$ ", "# ", "hint: ", "&& ", ": ", "\"", "'"})
    if (before.ends_with(mark)) return true;
  // Alone on an indented line, of a comment perhaps.
  const auto indent = before.find_last_not_of(' ');
  return before.ends_with("   ") &&
         (indent == before.npos || before[indent] == '#' ||
          before[indent] == '/');
}

// What `make` is followed by where it is no command all the same.
const Words kEnglish{
    "a",          "an",   "and",    "another", "any", "containers",
    "device",     "does", "groups", "it",      "its", "menuconfig",
    "namespaces", "no",   "none",   "one",     "or",  "room",
    "that",       "the",  "them",   "this",    "us"};

bool is_target(std::string word) {
  // A number may be left open: check-NN, check-{step}, check-%, "check-" +
  // step.
  if (word.ends_with("-NN")) word.resize(word.size() - 2);
  if (word.ends_with('-')) word += "03";
  return targets().count(word) != 0;
}

// Calls `use` with each place of `words` in each line of each file.
template <typename Use>
void for_each_place(const std::string& words, const Use& use) {
  for (const auto& file : files()) {
    int number = 0;
    for (const auto& line : host::lines(host::contents(file))) {
      ++number;
      for (auto at = line.find(words); at != line.npos;
           at = line.find(words, at + 1))
        use(file.string() + ":" + std::to_string(number), line, at);
    }
  }
}

}  // namespace

TEST_CASE("each `make TARGET` that a text, comment or message names is there") {
  int count = 0;
  for_each_place("make ", [&](const std::string& where, const std::string& line,
                              std::size_t at) {
    if (!is_command(line, at)) return;
    const auto word = word_at(line, at + 5);
    if (word.empty() ||
        std::islower(static_cast<unsigned char>(word[0])) == 0 ||
        kEnglish.count(word) != 0)
      return;
    ++count;
    CHECK_MESSAGE(is_target(word), where << ": make " << word);
  });
  CHECK(count > 100);
}

TEST_CASE("each `scripts/setup WHAT` that is named is known to it") {
  // What goes on behind it as a sentence.
  const Words english{"brings", "gives", "has", "installs",
                      "there",  "and",   "is",  "says"};
  const auto known = wants();
  REQUIRE(known.size() > 8);
  int count = 0;
  for_each_place(
      "scripts/setup ",
      [&](const std::string& where, const std::string& line, std::size_t at) {
        auto from = at + 14;
        for (auto word = word_at(line, from);
             !word.empty() &&
             std::isdigit(static_cast<unsigned char>(word[0])) == 0 &&
             english.count(word) == 0;
             word = word_at(line, from)) {
          ++count;
          CHECK_MESSAGE(known.count(word) != 0,
                        where << ": scripts/setup " << word);
          from += word.size() + 1;
          if (from > line.size() || line[from - 1] != ' ') break;
        }
      });
  CHECK(count > 20);
}

TEST_CASE("each program and file that is named is there") {
  for (const std::string room :
       {"scripts/", "rootfs/from-", "common/", "steps/"}) {
    int count = 0;
    for_each_place(room, [&](const std::string& where, const std::string& line,
                             std::size_t at) {
      // A path of its own, and no part of another, nor of a pattern.
      if (at > 0 && (is_of_word(line[at - 1]) || line[at - 1] == '/' ||
                     line[at - 1] == '}' || line[at - 1] == '.'))
        return;
      auto end = at;
      while (end < line.size() &&
             (is_of_word(line[end]) || line[end] == '/' || line[end] == '.'))
        ++end;
      if (end < line.size() &&
          std::string{"*{%$<[+\\"}.find(line[end]) != std::string::npos)
        return;
      auto path = line.substr(at, end - at);
      while (path.ends_with('.') || path.ends_with('/')) path.pop_back();
      for (const std::string open : {"NN", "/X", "-NN-name"})
        if (path.find(open) != path.npos) return;
      ++count;
      // A suite of tests has the name of its file without the end.
      CHECK_MESSAGE((fs::exists(path) || fs::exists(path + ".cpp") ||
                     fs::exists(path + ".hpp")),
                    where << ": " << path);
    });
    CHECK(count > 0);
  }
}

// On a fresh machine there is no Python yet, and no compiler.
TEST_CASE("a target that runs a Python program sets up first of all") {
  const auto programs = words_of("grep -rlI '^#!.*python3' scripts");
  REQUIRE(programs.count("scripts/learn/learn") == 1);
  int count = 0;
  for (const auto& target : targets()) {
    // One of eight is enough; and reset runs even under -n.
    if (target.find_first_of("012456789") != target.npos || target == "reset")
      continue;
    std::istringstream words{shell("make -n " + target + " 2>/dev/null").out};
    bool runs_one = false;
    for (std::string word; words >> word;)
      runs_one = runs_one || programs.count(word) != 0;
    if (!runs_one) continue;
    ++count;
    const auto lines = host::lines(
        shell("make -nB --no-print-directory " + target + " 2>/dev/null").out);
    REQUIRE(!lines.empty());
    CHECK_MESSAGE(lines[0].starts_with("scripts/setup "), target);
    CHECK_MESSAGE(lines[0] != "scripts/setup run", target);
  }
  CHECK(count > 12);
}

TEST_CASE("a number that no step has is answered by those that there are") {
  for (const std::string target :
       {"3", "9", "09", "10", "00", "check", "check-", "check-9", "start-3",
        "hint", "catch-up", "solution-x", "demo-9"}) {
    const auto result = shell("make " + target);
    CHECK(result.status == 2);
    CHECK_MESSAGE(
        result.err.find(": the steps are 01 to 08\n") != std::string::npos,
        target << ": " << result.err);
  }
  CHECK(shell("make diff-01").err.find(": the steps are 02 to 08\n") !=
        std::string::npos);
}

TEST_SUITE_END();
