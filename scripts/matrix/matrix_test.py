#!/usr/bin/python3
"""Tests of the matrix: it comes out as steps/matrix.json has it, every attack in every step. Ends
with a line that sums all.

  needs   root, else all are skipped; make build test-programs rootfs
"""

import json
import os
import re
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from host import testing

ATTACKS, ROOTS_STEPS, USERS_STEPS = 23, 8, 6


def matrix(options, setting=''):
    return testing.shell(f'{setting} scripts/matrix/matrix --build build {options}')


@testing.needs_root
class Matrix(testing.OnAHost):
    def test_every_attack_in_every_step_ends_as_expected(self):
        result = matrix('--compare steps')
        self.assertEqual(result.status, 0, result.out + result.err)
        *others, last = result.out.splitlines()
        not_compared = [line for line in others if line.startswith('not compared: ')]
        for line in not_compared:
            print(line)
        self.assertEqual(int(re.match(r'\d+', last)[0]) + len(not_compared),
                         ATTACKS * (ROOTS_STEPS + USERS_STEPS))

    def test_each_wall_stops_what_the_table_of_08_says(self):
        result = testing.shell('scripts/matrix/walls --build build --compare steps')
        self.assertEqual(result.status, 0, result.out + result.err)
        self.assertRegex(result.out.splitlines()[-1], r'^\d\d attacks, 0 otherwise than expected$')

    def test_a_wall_that_stops_another_attack_is_noticed(self):
        copy = self.scratch()
        found = json.loads(testing.contents('steps/walls.json'))
        found['userns']['without']['seccomp'] = 'refused'
        del found['group']
        testing.write(copy + '/walls.json', json.dumps(found))
        result = testing.shell(f'scripts/matrix/walls --build build --compare {copy}')
        self.assertEqual(result.status, 1)
        self.assertRegex(result.out, '(?s)^group: expected null\ngroup: but .*\n'
                         'userns: expected .*\nuserns: but .*, 2 otherwise than expected\n$')

    def test_a_cell_that_differs_from_the_data_is_noticed(self):
        copy = self.scratch()
        rows = json.loads(testing.contents('steps/matrix.json'))
        next(row for row in rows if row['attack'] == 'memory')['root']['07'] = 'its own'
        testing.write(copy + '/matrix.json', json.dumps(rows))
        result = matrix(f'--compare {copy} --who root --step 07 --probe memory')
        self.assertEqual(result.status, 1)
        self.assertIn('expected: its own, but\nmemory in 07, as root: refused\n', result.out)

    def test_a_cell_that_this_host_cannot_decide_is_named_and_not_compared(self):
        tools = self.scratch()
        self.must(f"printf '#!/bin/sh\necho it is forbidden >&2; exit 1\n' >{tools}/unshare; "
                  f'chmod 755 {tools}/unshare')
        result = matrix('--compare steps --who user --step 05 --probe chroot2',
                        f'STEP_05=build/04-uts PATH={tools}:$PATH')
        self.assertEqual((result.status, result.out), (0, (
            'not compared: chroot2 in 05, as an ordinary user: hits the host; an ordinary user may '
            'make no user namespace here: it is forbidden\n'
            '0 cells as expected, 0 not, 1 not compared\n')))

    def test_a_wall_that_is_not_there_is_noticed(self):
        result = matrix('--compare steps --who root --step 05 --probe chroot2',
                        'STEP_05=build/04-uts')
        self.assertEqual(result.status, 1)
        self.assertTrue(result.out.startswith(
            'expected: its own, but\nchroot2 in 05, as root: hits the host\n'), result.out)

    def test_what_a_probe_claims_does_not_decide_its_verdict(self):
        liar = self.scratch() + '/liar'
        self.must(f"printf '#!/bin/sh\\necho I did it all\\n' >{liar}; chmod 755 {liar}")
        result = matrix('--json --who root --step 01', f'STEP_01={liar}')
        self.assertIn('I did it all', result.out)
        self.assertNotIn('hits the host', result.out)

    def test_a_step_that_does_not_run_has_no_verdict(self):
        result = matrix('--compare steps --who root --step 08 --probe hostname',
                        'STEP_08=/bin/false')
        self.assertEqual(result.status, 1)
        self.assertIn('hostname in 08, as root: broken', result.out)

    def test_a_cgroup_that_a_step_leaves_is_named_and_removed(self):
        step = f'build/step-{os.getpid()}'  # The host of the matrix has another /tmp.
        self.addCleanup(os.remove, step)
        group = testing.shell('find -L /sys/fs/cgroup -maxdepth 2 -name cgroup.procs -print -quit')
        testing.write(step, f'#!/bin/sh\nmkdir {os.path.dirname(group.out)}/box-$$\n')
        os.chmod(step, 0o755)
        result = matrix('--json --who root --step 01 --probe hostname',
                        f'env -u TESTS_ON_A_HOST STEP_01={step}')
        told = re.findall(r'^host: left behind: a cgroup, /sys/fs/cgroup/.*box-\d+$', result.err, re.M)
        self.assertEqual(len(told), 1, result.err)

    def test_an_interrupted_run_leaves_nothing_behind(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number):
                run = self.running('env -u TESTS_ON_A_HOST scripts/matrix/matrix --build build --json '
                                   '--step 08')
                self.assertTrue(testing.comes_to_run(run.pid, '08-all'))
                run.send_signal(number)
                self.assertEqual(testing.finish(run), 128 + number)


if __name__ == '__main__':
    testing.main()
