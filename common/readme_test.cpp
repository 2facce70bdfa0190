// What README.md shows is what comes out.

#include "steps/tests/host.hpp"

using host::shell;

TEST_SUITE_BEGIN("readme");

namespace {

// The outputs behind `$ command` in the README's console blocks, as lines.
std::vector<std::string> shown_for(const std::string& command) {
  std::vector<std::string> shown;
  bool on = false;
  for (const auto& line : host::lines(host::contents("README.md"))) {
    if (line == "```" || line.starts_with("$ ")) on = false;
    if (on) shown.push_back(line);
    if (line == "$ " + command) on = true;
  }
  return shown;
}

// Numbers differ from run to run and from host to host, and so does the file
// that holds the limit: it is another one on cgroup v1 than on v2.
std::string without_numbers(const std::string& line) {
  std::string text;
  for (const char c : line) {
    const bool is_number = (c >= '0' && c <= '9') || c == '.';
    const char now = is_number ? '0' : c;
    const bool repeats = !text.empty() && text.back() == now;
    if (!(repeats && (now == '0' || now == ' '))) text += now;
  }
  return text.substr(0, text.find("cgroup/memory"));
}

// The words behind each `before` in a text, up to one of `ends`.
std::vector<std::string> words_after(const std::string& text,
                                     const std::string& before,
                                     const std::string& ends) {
  std::vector<std::string> words;
  for (auto at = text.find(before); at != text.npos;
       at = text.find(before, at + 1)) {
    const auto from = at + before.size();
    words.push_back(text.substr(from, text.find_first_of(ends, from) - from));
  }
  return words;
}

}  // namespace

TEST_CASE(
    "the table of the steps is what scripts/texts/steps-table makes of them") {
  const auto table = shell("scripts/texts/steps-table");
  CHECK(table.status == 0);
  CHECK(host::lines(table.out).size() == 10);
  CHECK(host::contents("README.md").find(table.out) != std::string::npos);
}

TEST_AS_ROOT("make run shows what the README shows") {
  const auto shown = shown_for("make run </dev/null");
  const auto real = host::lines(
      shell("scripts/run " + host::step(host::Caller::kRoot, "08-all")).out);
  REQUIRE(shown.size() > 10);
  REQUIRE(real.size() == shown.size());
  for (std::size_t i = 0; i < shown.size(); ++i)
    CHECK(without_numbers(real[i]) == without_numbers(shown[i]));
}

TEST_CASE("every make target that README.md or hosts.md names is there") {
  const auto help = shell("make").out;
  for (const std::string page : {"README.md", "steps/hosts.md"})
    for (const std::string before : {"`make ", "\n    make ", "$ make "})
      for (const auto& target :
           words_after(host::contents(page), before, " `\"\n,.;:"))
        if (!target.empty() && target.front() >= 'a' && target.front() <= 'z')
          CHECK_MESSAGE(help.find("make " + target) != std::string::npos,
                        target);
}

TEST_CASE("README.md is one page, and its files are there") {
  const auto readme = host::contents("README.md");
  CHECK(host::lines(readme).size() <= 110);
  for (const auto& file : words_after(readme, "](", ")"))
    CHECK_MESSAGE(!host::contents(file).empty(), file);
}

// No number is of interest here, only that there are some.
TEST_CASE("make bench measures (root)" *
          doctest::skip(::geteuid() != 0 || host::kIsSanitized)) {
  const auto out = host::scratch("bench");
  const auto result = host::shell("scripts/bench --quick --out " + out);
  CAPTURE(result.err);
  CHECK(result.status == 0);
  for (const std::string part :
       {"| 08-all | ", "| fork + exec | ", "| 01-chroot | ", "| 4 | "})
    CHECK(result.out.find(part) != std::string::npos);
  CHECK(host::contents(out + "/bench.md").find("| 08-all | ") !=
        std::string::npos);
  CHECK(host::contents(out + "/bench.svg").starts_with("<svg "));
}

TEST_CASE("other flags make other objects, and the same flags make none") {
  const auto build = host::scratch("flags") + "/build";
  const auto make = "make -s BUILD=" + build + " " + build + "/common/file.o";
  const auto age = "stat -c %y " + build + "/common/file.o";
  host::must(make);
  const auto first = shell(age);
  host::must(make);
  CHECK(shell(age).out == first.out);
  host::must(make + " CXXFLAGS=-O1");
  CHECK(shell(age).out != first.out);
}

TEST_SUITE_END();
