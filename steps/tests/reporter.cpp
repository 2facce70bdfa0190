// How the checker for learners hears of the promises: a reporter of doctest,
// --reporters=checker, that prints an object of JSON, one a line, for each test
// and for each of its checks that fails. scripts/learn/checker.py reads that.

#include "common/error.hpp"
#include "steps/tests/host.hpp"

#include <algorithm>
#include <iostream>
#include <sstream>

namespace {

// A string of JSON. sys::json_string() has one line only.
std::string json_string(const std::string& text) {
  std::string quoted;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    std::replace(line.begin(), line.end(), '\t', ' ');
    const auto one = sys::json_string(line);
    quoted += one.substr(1, one.size() - 2) + (lines.eof() ? "" : "\\n");
  }
  return '"' + quoted + '"';
}

std::string pair(const std::string& name, const std::string& text) {
  return json_string(name) + ": " + json_string(text);
}

// The command lines that the test ran last, and how each ended.
std::string ran() {
  constexpr long kMost = 6;
  const auto& all = host::ran();
  std::string text;
  for (auto one = all.end() - std::min(std::ssize(all), kMost);
       one != all.end(); ++one)
    text += (text.empty() ? "{" : ", {") + pair("line", one->line) +
            ", \"status\": " + std::to_string(one->status) + ", " +
            pair("out", one->out) + ", " + pair("err", one->err) + "}";
  return "\"ran\": [" + text + "]";
}

class Reporter : public doctest::IReporter {
 public:
  explicit Reporter(const doctest::ContextOptions& /*options*/) {}

  void test_case_start(const doctest::TestCaseData& test) override {
    name_ = test.m_name;
    host::ran().clear();
    host::has_failed() = false;
  }

  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
    std::cout << "{" << pair("test", name_) << R"(, "holds": )"
              << (stats.testCaseSuccess ? "true" : "false") << "}" << std::endl;
  }

  void test_case_skipped(const doctest::TestCaseData& test) override {
    if (test.m_skip)
      std::cout << "{" << pair("test", test.m_name) << R"(, "holds": null})"
                << std::endl;
  }

  void log_assert(const doctest::AssertData& check) override {
    if (!check.m_failed) return;
    host::has_failed() = true;
    tell(check.m_file, check.m_line, check.m_expr,
         check.m_threw ? std::string{"exception: "} + check.m_exception.c_str()
                       : check.m_decomp.c_str());
  }

  void log_message(const doctest::MessageData& message) override {
    if ((message.m_severity & doctest::assertType::is_warn) == 0)
      tell(message.m_file, message.m_line, message.m_string.c_str(), "");
  }

  void test_case_exception(
      const doctest::TestCaseException& exception) override {
    tell("", 0, "",
         "exception: " + std::string{exception.error_string.c_str()});
  }

  void report_query(const doctest::QueryData& /*query*/) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats& /*stats*/) override {}
  void test_case_reenter(const doctest::TestCaseData& /*test*/) override {}
  void subcase_start(const doctest::SubcaseSignature& /*name*/) override {}
  void subcase_end() override {}

 private:
  // `values` are those of the expression, as "0 == 125", or an exception.
  void tell(const char* file, int line, const std::string& expression,
            const std::string& values) const {
    std::string told;
    for (int i = 0; i < get_num_active_contexts(); ++i) {
      std::ostringstream text;
      get_active_contexts()[i]->stringify(&text);
      told += (told.empty() ? "" : ", ") + json_string(text.str());
    }
    std::cout << "{" << pair("failed", name_) << ", "
              << pair("place", std::string{file} + ":" + std::to_string(line))
              << ", " << pair("expression", expression) << ", "
              << pair("values", values) << R"(, "told": [)" << told << "], "
              << ran() << "}" << std::endl;
  }

  std::string name_;
};

REGISTER_REPORTER("checker", 1, Reporter);

}  // namespace
