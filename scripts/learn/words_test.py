#!/usr/bin/python3
"""Tests of the words for what a check saw: whatever a program does, they are about the container
and the host, and have no C++ or Python in them. Ends with a line that sums all.

  needs   root for the tests of the promises, which are skipped else; make checker
"""

import os
import re
import secrets
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

os.environ['MY'] = 'build/words-' + secrets.token_hex(4)  # PIDs of two hosts may be equal.

from host import testing
from learn import checker, words
from learn.files import STEPS, program

CODE = re.compile(r'''\w::\w|==|!=|:=|->|&&|\|\||\w\(\)|\bstd\b|\bnpos\b|nullptr|0x[0-9a-f]{4,}|
    18446744073709551615|\.cpp\b|\.hpp\b|\.py\b|Traceback|\bNone\b|\bfalse\b|not\ nothing''', re.X)
# What a program of a learner may do that is wrong everywhere: a file of C++, and its name.
WRONG = {
    'it does nothing': 'int main() {}',
    'it prints, and fails': '#include <unistd.h>\nint main() { return write(1, "hello\\n", 6) + '
                            'write(2, "an error\\n", 9); }'}


class Words(testing.OnAHost):
    @testing.asks_no_kernel
    def test_a_value_is_called_what_it_is(self):
        ran = [{'line': '/x/02-pidns R true', 'status': 139, 'out': 'one\n', 'err': 'two\n'}]
        for values, expected in {
                '139 == 0': 'Expected: status 0', 'one == 1': 'Expected output: 1',
                'two ==  ': 'Expected on standard error: no text',
                '7 > 8': 'Found: 7\nExpected: more than 8', ' == x': 'Found: no text\nExpected: x',
                'false': '', 'true == false': '',
                '37 == 18446744073709551615': 'A text was found that must not be there.',
                '18446744073709551615 != 18446744073709551615':
                    'The text that was expected was not there.'}.items():
            self.assertEqual('\n'.join(words.compared(values, ran)), expected, values)
        self.assertEqual(words.compared('139 == 1', ran, 'host::lines(result.err).size() == 1'),
                         ['Lines on standard error: 139', 'Expected: 1'])
        self.assertEqual(words.how_it_ended(139), 'status 139 (SIGSEGV)')
        ran[0]['err'] = ''  # No text on standard error is no reason to expect one there.
        self.assertEqual(words.compared(' == x', ran), ['Found: no text', 'Expected: x'])

        self.assertEqual(words.compared('0 == 1', [dict(ran[0], status=0)],
                                        'host::lines(result.err).size() == 1'),
                         ['Lines on standard error: 0', 'Expected: 1'])

    @testing.asks_no_kernel
    def test_a_text_that_was_expected_is_told(self):
        npos = '18446744073709551615'
        self.assertEqual(
            words.compared(f'{npos} != {npos}', [], 'result.err.find("\\"a\\"; hint: ") != npos'),
            ['The text that was expected was not there: "a"; hint:'])
        self.assertEqual(words.compared(f'7 == {npos}', [], 'out.find("boxN") == npos'),
                         ['A text was found that must not be there: boxN'])

    @testing.asks_no_kernel
    def test_a_program_that_failed_is_told_first_and_in_place_of_what_it_does_not_show(self):
        error = '06-netns-veth: no free cable'
        failure = {'told': ['the host has a route', 'it can reach another one'],
                   'ran': [{'line': '/x/06-netns-veth R true', 'status': 125, 'out': '',
                            'err': error + '\n'}]}
        told = words.failure_in_words(failure, '06')
        self.assertEqual((told[0], told[-1]), (
            f'The program itself failed, with status 125: {error}', 'The host has a route'))
        self.assertEqual(sum(error in line for line in told), 1)  # Once is enough.
        told = words.failure_in_words(failure, '06', may_fail=True)
        self.assertEqual((told[0], told[-1]), (
            'We ran: 06-netns-veth R true', 'It can reach another one'))

    @testing.asks_no_kernel
    def test_a_sentence_begins_with_a_capital_letter_and_a_name_stays(self):
        self.assertEqual([words.capital(text) for text in
                          ('a link', 'rm: no', 'rp_filter of', 'eth0 is', '/ is')],
                         ['A link', 'rm: no', 'rp_filter of', 'eth0 is', '/ is'])

    @testing.asks_no_kernel
    def test_code_is_found(self):
        for text in ('found "a::b"', 'x == y', 'at 0x55d0', 'size()', 'it is not nothing'):
            self.assertRegex(text, CODE)
        self.assertNotRegex('mount(2) proc on /proc: 0::/leaf; build/08-all', CODE)


@testing.needs_root
class Promises(testing.OnAHost):
    """One method for each step: see below."""

    def tell(self, step, source):
        """What is told of each promise of a step that a program breaks."""
        os.makedirs(os.path.dirname(program(step)), exist_ok=True)
        self.addCleanup(shutil.rmtree, os.path.dirname(program(step)), ignore_errors=True)
        subprocess.run(['g++', '-x', 'c++', '-', '-static', '-o', program(step)], check=True,
                       text=True, input=source)
        # Some of the contract's wait a minute for a wrong program.
        contract = 'contract' if step == '03' and 'ALL' in os.environ else ''
        tests = [test for test in checker.all_tests()
                 if test['suite'] in (STEPS[step], contract) and
                 checker.keeps(step, test['kept'])]
        _, told, failures = checker.run_tests(step, tests)
        self.assertEqual({test['name'] for test in tests}, set(told))
        self.assertNotEqual(failures, {})
        for name, some in failures.items():
            for failure in some[:3]:
                yield f'{name}\n' + '\n'.join(words.failure_in_words(failure, step))

    def have_words(self, step):
        for words_, source in WRONG.items():
            with self.subTest(words_):
                for text in self.tell(step, source):
                    told = re.sub(r'^(Then we|We) ran.*$', '', text.partition('\n')[2], flags=re.M)
                    self.assertNotRegex(told, CODE, text)  # What ran may be a line for a shell.
                    self.assertIn('\n', text)


for name in STEPS:
    def method(self, step=name):
        """A step's."""
        self.have_words(step)
    if name in ('01', '08'):  # So do some of theirs.
        method = testing.takes_minutes(method)
    setattr(Promises, f'test_those_of_{name}_have_no_code_in_them', method)


class Sentences(testing.OnAHost):
    @testing.asks_no_kernel
    def test_each_says_what_is_done_what_is_expected_and_why(self):
        for test in checker.all_tests():
            with self.subTest(test['name']):
                self.assertRegex(test['fails'],
                                 r'^[A-Z].* expects? .*\b(because|so that|as)\b.*\.$')
                self.assertNotRegex(test['fails'], CODE)


if __name__ == '__main__':
    testing.main()
