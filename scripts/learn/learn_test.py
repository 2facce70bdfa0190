#!/usr/bin/python3
"""Tests of the checker for what learners write: it fails what is not done yet, passes what is,
names what is wrong, and is not deceived. `make mistakes` tries all steps. Ends with a line that
sums all.

  needs   root, else most are skipped; make build test-programs rootfs
"""

import collections
import contextlib
import glob
import io
import os
import re
import shutil
import sys
import tempfile
import unittest.mock

import pexpect

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from host import testing
from learn import checker, report
from learn.task import EVERY_STEP, Hint, piece_at_hand, task, topic_of, wanted
from learn.throwaway import Root

STEPS = {os.path.basename(path)[:2]: path
         for path in sorted(glob.glob(glob.escape(testing.TOP) + '/steps/0*'))}


def course(step):
    return testing.contents(STEPS[step] + '/main.cpp')


class Learner(testing.OnAHost):
    """A learner, who has a directory for what they write."""

    def setUp(self):
        self.top = '.'
        self.my = tempfile.mkdtemp(prefix='learner-', dir='build')
        for path in (self.my, 'build/' + self.my):
            self.addCleanup(shutil.rmtree, path, ignore_errors=True)

    def learn(self, words, settings=''):
        return testing.shell(
            f"cd {self.top}; MY={self.my} MY_FLAGS='-O0 -w' {settings} scripts/learn/learn {words}")

    def fails(self, words, settings=''):
        """What it prints: it ends with 1."""
        result = self.learn(words, settings)
        self.assertEqual(result.status, 1, result.out + result.err)
        return result.out

    def mine(self, step):
        return f'{self.my}/{step}.cpp'

    def memory(self):
        return self.my + '/.progress.json'

    def write(self, step, text):
        testing.write(self.mine(step), text)

    def spoil(self, step, old, new):
        """Writes the course's own with one mistake."""
        self.assertIn(old, course(step))
        self.write(step, course(step).replace(old, new, 1))


@testing.needs_root
class Checks(Learner):
    def setUp(self):
        super().setUp()
        if len(testing.TOP.split()) > 1:  # The checker refuses a path with a blank.
            self.top = self.scratch()
            self.must(f'mount --bind . {self.top}')
            self.addCleanup(self.must, f'umount {self.top}')

    @testing.asks_no_kernel
    def test_the_start_of_a_step_fails_and_is_told_what_to_do_next(self):
        self.assertEqual(self.learn('start 01').status, 0)
        self.assertTrue(testing.contents(self.mine('01')).startswith('// Step 01: your task.\n'))
        out = self.fails('check 01 --only rootfs')
        self.assertIn('- does not hold  the command runs in the rootfs (root)\n', out)
        self.assertIn("\n                 We ran: 01-chroot ROOTFS sh -c 'echo ", out)
        self.assertIn('Next: Another root directory. make hint-01 helps.\n', out)

    def test_the_courses_own_solution_holds_and_progress_shows_it(self):
        self.write('01', course('01'))
        result = self.learn('check 01')
        self.assertEqual(result.status, 0, result.out + result.err)
        self.assertIn(' hold, 0 do not, ', result.out)
        self.assertNotIn('does not hold', result.out)
        self.assertIn('make check-01, for these were some of them.',
                      self.learn('check 01 --only rootfs').out)
        self.assertIn('[####] 01-chroot', self.learn('progress').out)
        self.write('01', course('01') + '\n')
        self.assertIn('[##  ] 01-chroot', self.learn('progress').out)
        self.assertIn('[    ] 02-pidns', self.learn('progress').out)

    @testing.asks_no_kernel
    def test_a_mistake_is_told_by_the_promise_that_it_breaks(self):
        self.spoil('05', '::umount2(".", MNT_DETACH)', '0')
        out = self.fails("check 05 --only 'left inside'")
        self.assertIn("- does not hold  nothing of the host's mounts is left inside (root)\n", out)
        self.assertIn('Next: The old root. make hint-05 helps.\n', out)
        self.assertIn('The old root, 1 of 4: the idea\n', self.learn('hint 05').out)
        self.assertRegex(self.learn('progress').out, r'05-mountns +\d of \d+ promises hold\n')

    @testing.asks_no_kernel
    def test_a_piece_of_work_can_be_checked_alone(self):
        self.assertEqual(self.learn('start 04').status, 0)
        out = self.fails("check 04 --only 'A separate host name'")
        self.assertIn('- does not hold  it may change its name', out)
        self.assertNotIn('/ is the rootfs', out)
        # What succeeds on something of its own, is not to be refused.
        self.assertIn('The kernel refuses it, but it should succeed, and reach only', out)

    @testing.asks_no_kernel
    def test_a_container_that_leaves_a_cgroup_is_never_told_that_it_holds(self):
        self.spoil('07', 'sys::remove_cgroups(groups, parents);', ';')
        out = self.fails("check 07 --only 'exit status'")
        self.assertRegex(out, r'- does not hold  it leaves nothing on the host \(root\)\n'
                         r'(.*\n){1,3} {17}It is left on the host: a cgroup, ')
        self.assertIn('Next: The group. ', out)

    @testing.asks_no_kernel
    def test_a_container_that_leaves_a_mount_is_never_told_that_it_holds(self):
        self.spoil('02', '(void)::umount2(', '(void)(')
        self.assertIn('It is left on the host: a mount, ',
                      self.fails("check 02 --only 'exit status'"))

    @testing.asks_no_kernel
    def test_what_leaks_only_now_and_then_is_told_too(self):
        # If the command fails, the cgroup stays.
        self.spoil('07', 'tell_of_kills(groups);', 'if (status != 0) std::quick_exit(status);')
        out = self.fails("check 07 --only 'exit status'")
        self.assertIn('+ holds          it leaves nothing on the host (root)\n', out)
        self.assertRegex(out, "\n- does not hold  the exit status is the command's own \\(root\\)\n"
                              r'( {17}.*\n)+? {17}A cgroup is left on the host: \+ /.*/box-')
        self.assertIn('Next: The group. ', out)

    @testing.asks_no_kernel
    def test_what_ends_all_processes_ends_those_of_a_host_made_for_it(self):
        self.write('01', '#include <csignal>\nint main() { ::kill(-1, SIGKILL); }\n')
        self.assertIn('- does not hold  it runs a command (root)\n', self.fails('check 01'))

    @testing.asks_no_kernel
    def test_what_forks_without_end_comes_to_its_end(self):
        self.write('03', '''#include <unistd.h>
int main() {
  for (;;) {
    (void)!::fork();
    ::usleep(100'000);
  }
}
''')
        # Nobody has to wait for that as long as a learner does.
        self.assertIn('It does not end within 5 seconds.',
                      self.fails('check 03', 'LEARN_TIMEOUT=5'))

    @testing.asks_no_kernel
    def test_what_prints_without_end_comes_to_its_end(self):
        self.write('03', '''#include <cstdio>
int main() { while (std::puts("once more") != EOF); }
''')
        self.assertIn('It does not end by itself', self.fails('check 03'))

    @testing.asks_no_kernel
    def test_what_takes_memory_without_end_comes_to_its_end(self):
        self.write('03', '''#include <cstring>
int main() {
  for (;;) std::memset(new char[1 << 24], 1, 1 << 24);
}
''')
        self.assertIn('ended with status 137 (SIGKILL)', self.fails('check 03'))

    @testing.asks_no_kernel
    def test_what_harms_the_project_does_not_reach_it(self):
        self.write('01', '''#include <cstdlib>
int main() {
  return std::system("echo >>README.md; touch scripts/new build/rootfs/new");
}
''')
        before = testing.contents('README.md')
        self.assertIn('- does not hold  it runs a command (root)', self.learn('check 01').out)
        self.assertEqual(testing.contents('README.md'), before)
        self.assertFalse(os.path.exists('scripts/new'))
        self.assertFalse(os.path.exists('build/rootfs/new'))

    def test_wrong_input_is_one_line(self):
        self.write('01', course('01'))
        result = self.learn("check 01 --only 'no such words'")
        self.assertEqual(result.status, 1)
        self.assertEqual(len(result.err.splitlines()), 1, result.err)
        self.assertIn('has "no such words" in its name', result.err)
        testing.write(self.memory(), '{"checks": {"01": {}}, "hints": []}')
        self.assertEqual(self.learn('progress').status, 0)
        self.assertIn('Another root directory, 1 of 4: the idea', self.learn('hint 01').out)
        os.mkdir(self.mine('02'))
        result = self.learn('start 03')
        self.assertEqual(result.status, 1)
        self.assertEqual(result.err, f'learn: {self.mine("02")}: Is a directory\n')

    @testing.asks_no_kernel
    def test_who_only_prints_what_is_expected_is_found_out(self):
        self.write('01', '''#include <unistd.h>
int main(int argc, char** argv) {
  if (argc > 2) ::execvp(argv[2], argv + 2);  // On the host.
}
''')
        out = self.fails('check 01 --only rootfs')
        self.assertIn('+ holds          it runs a command (root)\n', out)
        self.assertIn('- does not hold  the command runs in the rootfs (root)\n', out)

    @testing.asks_no_kernel
    def test_a_crash_is_named_with_its_process_and_the_action_before(self):
        crash = '*static_cast<volatile int*>(nullptr) = 0;'
        for old, new, words in (
                ('  mount_dev();\n', f'  mount_dev();\n{crash}\n',
                 'SIGSEGV in the child. The last action that -v tells: [pid 1] symlink(2) '
                 '/dev/stderr'),
                ('  const sys::Signals signals;\n', '  ::abort();\n',
                 'SIGABRT in the program itself. ')):
            self.spoil('05', old, new)
            self.write('05', '#include <cstdlib>\n' + testing.contents(self.mine('05')))
            out = self.fails('check 05')
            self.assertIn('It crashed: ' + words, out)
            self.assertIn('\n0 hold, 1 do not, 1 not checked\n', out)

    @testing.asks_no_kernel
    def test_what_does_not_compile_or_does_not_run_is_told_at_once(self):
        self.write('03', 'int main() { return no_such_name; }\n')
        self.assertIn('- does not hold  it builds\n', self.fails('check 03'))
        out = self.learn('hint 03').out
        self.assertTrue(out.startswith('It does not build, 1 of 1: '), out)
        self.assertIn(f"\n{self.mine('03')}:1:21: error: 'no_such_name' was not declared", out)
        self.assertIn('\nIs the name spelled as in the header', out)
        self.write('03', 'int main() { sys::Streams streams; }\n')
        self.fails('check 03')
        self.assertIn("Is the name spelled as in the header", self.learn('hint 03').out)
        self.write('03', '#include "common/error.hpp"\nint main() { sys::Streams streams; }\n')
        self.fails('check 03')
        self.assertIn('\n#include "common/streams/streams.hpp" at the top declares Streams. ',
                      self.learn('hint 03').out)
        self.write('03', 'int main() { return 1; }\n')
        out = self.fails('check 03')
        self.assertIn('- does not hold  it runs a command (root)\n', out)
        self.assertIn('\n0 hold, 1 do not, 1 not checked\n', out)
        self.assertNotIn('It does not build', self.learn('hint 03').out)

    @testing.asks_no_kernel
    def test_the_hint_for_an_error_in_a_header_names_the_line_of_the_learner(self):
        self.write('01', """#include "common/error.hpp"
int main() {
  sys::note(sys::format("{} {}", 1));
}
""")
        self.fails('check 01')
        out = self.learn('hint 01').out
        self.assertIn(f"\n{self.mine('01')}:3:", out)
        self.assertIn('\nCount the {} in the format', out)


@testing.needs_root
class Watch(Learner):
    @testing.asks_no_kernel
    def test_a_save_is_checked_and_a_key_gives_the_hint(self):
        self.assertEqual(self.learn('start 01').status, 0)
        watch = pexpect.spawn('scripts/learn/learn', ['watch', '01'], encoding='utf-8',
                              timeout=testing.TIMEOUT_SECONDS,
                              env=dict(os.environ, MY=self.my, MY_FLAGS='-O0 -w', TERM='xterm'))
        self.addCleanup(watch.close)
        watch.expect('does not hold.*the command runs in the rootfs')
        watch.expect('h: the next hint')
        watch.send('h')
        watch.expect('Another root directory, 1 of 4: the idea')
        self.write('01', 'int main() { return no_such_name; }')
        watch.expect('It does not build')
        watch.send('h')
        watch.expect('It does not build, 1 of 1: the first error of the compiler')
        self.write('01', course('01'))
        watch.expect(r'\[\.+\] 0 of \d+')  # It shows that it works.
        watch.expect(r'Another root directory: \d+ hold')
        watch.expect(r'\d+ hold, 0 do not, 0 not checked')
        watch.expect('h: the next hint')
        watch.send('q')
        watch.expect(pexpect.EOF)
        watch.close()
        self.assertEqual(watch.exitstatus, 0)


class Promises(testing.OnAHost):
    """What the tests of the steps say of themselves."""

    def setUp(self):
        self.pieces = {step: [topic.name for topic in task(step)[2]] for step in STEPS}

    @testing.asks_no_kernel
    def test_each_has_a_name_of_its_own_and_a_sentence(self):
        names = collections.Counter(test['name'] for test in checker.all_tests())
        self.assertEqual({name for name, number in names.items() if number > 1}, set())
        for test in checker.all_tests():
            with self.subTest(test['name']):
                self.assertRegex(test['name'], r' \((root|user)\)$')
                self.assertRegex(test['fails'], r'^[A-Z].* expect.*\.$')

    @testing.asks_no_kernel
    def test_a_step_keeps_its_own_promises_and_a_piece_of_its_task_makes_them_hold(self):
        for test in checker.all_tests():
            with self.subTest(test['name']):
                kept = [step for step in STEPS if checker.keeps(step, test['kept'])]
                self.assertNotEqual(kept, [])
                if test['suite'] != 'contract':
                    self.assertEqual(os.path.basename(STEPS[kept[0]]), test['suite'])
                    self.assertNotEqual(set(test['pieces']) & set(self.pieces[kept[0]]), set())

    @testing.asks_no_kernel
    def test_each_piece_is_one_of_a_task_and_each_of_a_task_has_a_promise(self):
        of_tasks = collections.Counter(name for names in self.pieces.values() for name in names)
        self.assertEqual(set(of_tasks.values()), {1})  # No two have one name.
        self.assertEqual({name for test in checker.all_tests() for name in test['pieces']},
                         set(of_tasks))

    @testing.asks_no_kernel
    def test_each_has_a_hint_in_each_step_that_keeps_it(self):
        for step in STEPS:
            names = [(test['name'], test['pieces']) for test in checker.all_tests()
                     if checker.keeps(step, test['kept'])]
            names += [(name, []) for name in checker.attacks_of(step)]
            for name, needed in names:
                with self.subTest(f'{step}: {name}'):
                    topic, whose = topic_of({'name': name, 'pieces': needed, 'said': '', 'saw': ''},
                                            step)
                    self.assertIsNot(topic, EVERY_STEP)
                    self.assertLessEqual(whose, step)

    @testing.asks_no_kernel
    def test_each_wrong_program_breaks_a_promise_that_its_step_keeps(self):
        for line in testing.contents('scripts/ci/mistakes.txt').splitlines():
            if not line.startswith('#'):
                step, words, name, _ = line.split('|', 3)
                with self.subTest(f'{step}: {words}'):
                    self.assertTrue(checker.is_any_wanted(step[:2], name), name)

    @testing.asks_no_kernel
    def test_a_mistake_leads_to_the_piece_of_this_step_that_can_make_it(self):
        pieces = {test['name']: test['pieces'] for test in checker.all_tests()}
        for step, name, saw, said, piece in (
                ('05', 'it runs a command (root)', 'It printed no text, and ended with status 0.',
                 '', 'The standard streams'),
                ('06', 'it runs a command (root)', '', '06-netns-veth: open(2) /proc/sys/net/ipv4/'
                 'conf/eth0/rp_filter: No such file or directory (ENOENT)', 'The cable'),
                ('06', 'it runs a command (root)', '', '06-netns-veth: open(2) /proc/sys/net/ipv4/'
                 'conf/box7/rp_filter: Permission denied (EACCES)', 'Nothing new comes in'),
                ('02', "the command gets no open file but the caller's (root)", '', '',
                 'No link in the place of /proc'),
                ('05', 'what the host mounts meanwhile is not inside (root)', '', '',
                 'A separate mount table'),
                ('05', 'each mount allows no more than it is for (root)', '', '', '/proc and /dev'),
                ('05', 'the umask of the caller shows nowhere (root)', '', '', 'The overlay')):
            promise = {'name': name, 'pieces': pieces.get(name, []), 'said': said, 'saw': saw}
            with self.subTest(f'{step}: {name}'):
                found, whose = topic_of(promise, step)
                self.assertEqual((found.name, whose), (piece, step))

    @testing.asks_no_kernel
    def test_a_program_that_does_not_start_leads_to_the_first_piece_that_is_not_done(self):
        first, second, third, *_ = self.pieces['05']
        broken = {'name': 'a promise of two', 'pieces': [first, second], 'said': '', 'saw': ''}
        for name in ('it runs a command (root)', 'it builds'):
            does_not_start = {'name': name, 'pieces': [], 'said': '', 'saw': ''}
            for others, piece in (([], third), ([broken], second)):
                check = {'of': '', 'needs_root': 0, 'number': 9,
                         'broken': [does_not_start, *others],
                         'seen': {'one': [first], 'another': [second], 'a promise of two':
                                  [first, second]}}
                with self.subTest(f'{name}: {piece}'):
                    found, whose = piece_at_hand('05', {'checks': {'05': check}, 'hints': {}})
                    self.assertEqual((found.name, whose), (piece, '05'))

    @testing.asks_no_kernel
    def test_sudo_that_refuses_is_asked_once(self):
        refuses = unittest.mock.Mock(return_value=unittest.mock.Mock(returncode=1))
        with unittest.mock.patch.multiple(Root, command=None, is_known=False), \
                unittest.mock.patch('shutil.which', lambda name: name), \
                unittest.mock.patch('sys.stdin.isatty', lambda: True), \
                unittest.mock.patch('subprocess.run', refuses):
            self.assertEqual([Root.find() for _ in range(3)], [False] * 3)
        self.assertEqual([call.args[0] for call in refuses.call_args_list],
                         [['sudo', '-n', 'true'], ['sudo', '-v']])

    @testing.asks_no_kernel
    def test_a_hint_fits_a_narrow_terminal_and_its_code_stays(self):
        code = '```cpp\n' + 'a_line_of_code(); ' * 6 + '\n```'
        hint = Hint('The piece', 4, 4, 'the line', 'word ' * 19 + 'word\n\n' + code)
        for columns, lines in ((40, 3), (200, 1)):
            with unittest.mock.patch('learn.report.is_terminal', lambda: True), \
                    unittest.mock.patch('shutil.get_terminal_size',
                                        lambda columns=columns: os.terminal_size((columns, 25))), \
                    contextlib.redirect_stdout(io.StringIO()) as out:
                report.tell_hint(hint, '05')
            _, text, told, _ = out.getvalue().split('\n\n', 3)
            self.assertEqual(len(text.splitlines()), lines)
            self.assertEqual(told, code)

    @testing.asks_no_kernel
    def test_what_a_test_waits_for_is_said_in_any_case(self):
        for path in [f'{path}/test.cpp' for path in STEPS.values()]:
            text = re.sub(r'"\s*"', '', testing.contents(path))
            for command in re.findall(r'host::Running \w+\{.*?\};', text, re.S):
                for said in re.findall(r'&& echo (?:(?!&&)[^;"])*; read wait', command):
                    self.assertIn('||', said, path)

    def test_the_steps_that_keep_a_promise_are_ranges_and_single_ones(self):
        self.assertEqual([step for step in STEPS if checker.keeps(step, '03-05 08')],
                         ['03', '04', '05', '08'])

    def test_a_promise_of_two_pieces_is_one_of_the_last(self):
        topics, pieces = task('02')[2], self.pieces['02'][:2]
        self.assertEqual([name for name in self.pieces['02'] if
                          wanted('any (root)', pieces, name, topics)], pieces[1:])


class Tasks(Learner):
    @testing.asks_no_kernel
    def test_each_step_has_a_task_and_hints_of_four_rungs(self):
        for step, path in STEPS.items():
            with self.subTest(step):
                text = testing.contents(path + '/task.md')
                self.assertTrue(text.startswith('# Step '))
                topics = len(re.findall('^## ', text, re.M))
                self.assertGreater(topics, 0)
                self.assertEqual(len(re.findall('^[1-4]\\. .', text, re.M)), 4 * topics)

                # The learner's file begins with it.
                self.assertEqual(self.learn('start ' + step).status, 0)
                start = testing.contents(self.mine(step))
                task = re.split('^(?:## |```)', text.partition('\n')[2], flags=re.M)[0]
                self.assertGreater(len(task), 100)
                for line in task.splitlines():
                    self.assertIn(f'// {line}'.rstrip() + '\n', start)

    @testing.asks_no_kernel
    def test_hints_come_one_after_the_other_mildest_first(self):
        self.fails('hint 04')
        self.assertEqual(self.learn('start 04').status, 0)
        for rung in ('1 of 4: the idea', '2 of 4: where to read', '3 of 4: the call',
                     '4 of 4: the line', '4 of 4: the line'):
            self.assertIn(f'A separate host name, {rung}\n', self.learn('hint 04').out)

    @testing.asks_no_kernel
    def test_where_nothing_could_be_checked_there_are_all_hints_in_turn(self):
        self.assertEqual(self.learn('start 02').status, 0)
        testing.write(self.memory(), '''{"hints": {}, "checks": {"02": {
            "of": "", "broken": [], "seen": {}, "needs_root": 27, "number": 27}}}''')
        for topic in ('Separate process numbers', 'A /proc for these numbers',
                      'No link in the place of /proc'):
            for rung in '1234':
                out = self.learn('hint 02').out
                self.assertTrue(out.startswith(f'{topic}, {rung}'), out)

    def test_a_number_that_no_step_has_or_none_is_one_clear_line(self):
        for verb in ('diff', 'start', 'check', 'watch', 'hint', 'catch-up', 'solution', 'demo'):
            for number in ('', '99', '3'):
                with self.subTest(f'{verb}-{number}'):
                    result = testing.shell(f'make --no-print-directory {verb}-{number}')
                    self.assertEqual((result.status, result.out), (2, ''))
                    first = '02' if verb == 'diff' else '01'
                    self.assertEqual(result.err.splitlines()[:1],
                                     [f'make {verb}-{number}: the steps are {first} to 08'])

    @testing.asks_no_kernel
    def test_start_goes_on_from_the_learners_own_and_overwrites_nothing(self):
        self.write('04', '// Notes of mine.\n\nint mine = 1;\n')
        self.assertEqual(self.learn('start 05').status, 0)
        self.assertTrue(testing.contents(self.mine('05')).endswith('\n\nint mine = 1;\n'))
        self.fails('start 05')

        self.assertEqual(self.learn('catch-up 05').status, 0)
        self.assertEqual(testing.contents(self.mine('04')), course('04'))
        self.assertTrue(testing.contents(self.mine('04') + '.1').endswith('int mine = 1;\n'))
        self.assertEqual(self.learn('catch-up 05').status, 0)
        self.assertEqual(testing.contents(self.mine('04') + '.2'), course('04'))
        self.assertTrue(testing.contents(self.mine('04') + '.1').endswith('int mine = 1;\n'))
        self.assertIn("[====] 04-uts           the course's", self.learn('progress').out)
        self.fails('catch-up 01')
        self.fails('start 09')
        self.assertIn('+++ b/steps/05-mountns/main.cpp', self.learn('solution 05').out)


if __name__ == '__main__':
    testing.main()
