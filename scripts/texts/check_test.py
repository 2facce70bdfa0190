#!/usr/bin/python3
"""Tests of scripts/docs, on texts with a fault. Ends with a line that sums all."""

import contextlib
import glob
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from texts import check, sources


def below(pid):
    """The command lines of all processes that descend from one."""
    found = []
    for child in contents(f'/proc/{pid}/task/{pid}/children').split():
        found += [contents(f'/proc/{child}/cmdline').replace('\0', ' ').strip(), *below(child)]
    return found


def contents(path):
    """Of a process that might have ended meanwhile."""
    try:
        return sources.read(path)
    except (FileNotFoundError, ProcessLookupError):
        return ''


@unittest.skipUnless(os.geteuid() == 0, 'texts are run as root')
class WholeTexts(unittest.TestCase):
    """scripts/docs, on texts with a fault."""

    def check(self, *lines, verb='check'):
        """What it ends with, what it says, and the text as it is then."""
        with tempfile.TemporaryDirectory(dir='build') as place:
            path = os.path.join(place, 'README.md')
            with open(path, 'w', encoding='utf-8') as file:
                file.write('\n'.join(lines) + '\n')
            result = subprocess.run(['scripts/docs', verb, path], capture_output=True,
                                    text=True, check=False)
            self.assertEqual(result.stderr, '')
            return (result.returncode, result.stdout.replace(path, 'README.md'),
                    sources.read(path).splitlines())

    def test_a_true_text_passes(self):
        status, said, _ = self.check(
            '<!-- vary: 7 -->', '```console', 'host# echo $$', '7', 'host# kill -0 7; id -u', '0',
            'host$ id -u', '1000', '```')
        self.assertEqual(status, 0, said)

    def test_an_ordinary_users_path_is_as_short_as_debians(self):
        status, said, _ = self.check('```console', 'host$ echo $PATH | grep -c sbin', '0',
                                     'host# echo $PATH | grep -c sbin', '1', '```')
        self.assertEqual(status, 0, said)

    def test_an_update_writes_what_came_out_where_it_differs(self):
        text = ['<!-- vary: 7 -->', '1. Why?', '   ```console', '   host# echo 1; echo 2', '   old',
                '   host# echo 3', '   7', '   ```']
        self.assertEqual(self.check(*text, verb='update')[2],
                         text[:4] + ['   1', '   2'] + text[5:])

    def test_two_numbers_shown_equal_that_differ_fail(self):
        status, said, _ = self.check('<!-- vary: 7 -->', '```console', 'host# echo 1', '7',
                                  'host# echo 2', '7', '```')
        self.assertEqual(status, 1)
        self.assertIn('README.md:5: echo 2: 7 was 1 before, and is 2 now', said)

    def test_a_lesson_without_a_block_that_is_run_fails(self):
        for lines in (['# A lesson'], ['If nothing:', '```console if nothing', 'host# true', '```']):
            status, said, _ = self.check(*lines)
            self.assertEqual(status, 1)
            self.assertIn('README.md: a lesson in which nothing is run', said)

    def test_an_unknown_kind_of_host_fails(self):
        said = self.check('```console if cgroup v3', 'host# true', '```')[1]
        self.assertIn('no such kind of host: cgroup v3', said)

    def test_code_that_is_gone_fails(self):
        said = self.check('<!-- code none.cpp: void none -->', '```cpp', '```')[1]
        self.assertIn('none.cpp: ', said)

    def test_code_that_is_cut_from_nowhere_fails(self):
        status, said, _ = self.check('```console', 'host# true', '```', '', '```cpp', 'int a;', '```')
        self.assertEqual(status, 1)
        self.assertIn('README.md: code that is cut from no source: ```cpp', said)

    def test_what_is_left_behind_or_taken_away_fails(self):
        group = next(line.split()[1] for line in sources.read('/proc/self/mounts').splitlines()
                     if line.split()[2].startswith('cgroup')) + '/left4711'
        traces = {
            'a file, /dev/shm/left': 'touch /dev/shm/left', 'a file, /root/left': 'touch /root/left',
            'a file, /etc/hosts (': 'echo >>/etc/hosts', 'a mount, /mnt (': 'mount --bind /mnt /mnt',
            'a link, left': 'ip link add left type veth peer name right',
            'a route, blackhole 10.9.9.9': 'ip route add blackhole 10.9.9.9',
            'a process, sleep 4711': 'setsid sleep 4711 &', 'IPC, msg': 'ipcmk -Q >/dev/null',
            'the name, left': 'hostname left', f'a cgroup, {group}': f'mkdir {group}',
            'a file, /run/host/rootfs-0/root/left (': 'touch build/rootfs/root/left'}
        status, said, _ = self.check('```console', *(f'host# ({typed})' for typed in traces.values()),
                                     'host$ touch build/rootfs/mine', '```')
        self.assertEqual(status, 1)
        for trace in traces:
            self.assertIn(f'README.md: leaves a trace: {trace}', said)
        self.assertIn('README.md: leaves a trace: a file, /run/host/rootfs-1000/mine (', said)
        self.assertIn('README.md: takes away: the name, host', said)
        self.assertFalse(os.path.exists(group))

    def test_a_text_can_write_only_to_its_own_files(self):
        status, said, _ = self.check('```console', 'host# touch /left', '```')
        self.assertEqual(status, 1)
        self.assertIn("touch: cannot touch '/left': Read-only file system", said)

    def test_changes_by_other_processes_do_not_count(self):
        with tempfile.TemporaryDirectory(dir='steps') as place, subprocess.Popen(
                ['sh', '-c', f'sleep 2; touch {place}/.README.md.swp; sleep 9']) as other:
            status, said, _ = self.check('```console', 'host# sleep 3', '```')
            other.kill()
        self.assertEqual(status, 0, said)

    def test_a_network_namespace_that_another_process_removes_does_not_count(self):
        name = f'docs-test-{os.getpid()}'
        subprocess.run(['ip', 'netns', 'add', name], check=True)
        wait = 'until pgrep -fx "sleep 4.711" >/dev/null; do sleep 0.1; done'
        with subprocess.Popen(['sh', '-c', f'{wait}; ip netns delete {name}']) as other:
            status, said, _ = self.check('```console', 'host# sleep 4.711', '```')
            other.wait()
        self.assertEqual(status, 0, said)

    def test_a_signal_ends_the_check_at_any_time_and_nothing_is_left(self):
        """^C and ^\\, which the terminal sends to all; and others, which are sent to it alone."""
        for number, send in ((signal.SIGINT, os.killpg), (signal.SIGQUIT, os.killpg),
                             (signal.SIGINT, os.kill), (signal.SIGTERM, os.kill),
                             (signal.SIGHUP, os.killpg)):
            for moment in ('docs.*', 'chowns', 'sleep 4711'):
                with self.subTest(number, send=send, moment=moment):
                    self.end_it(send, number, moment)

    def end_it(self, send, number, moment):
        """When there is a file of this name, or a process whose command line begins so."""
        with tempfile.TemporaryDirectory(dir='build') as project, \
                tempfile.TemporaryDirectory() as place, tempfile.TemporaryFile('w+') as said:
            with open(f'{project}/README.md', 'w', encoding='utf-8') as file:
                file.write('```console\nhost# sleep 4711\n```\n')
            # chown(1) is over too soon to be seen: so here it waits, at one of these moments.
            waits = f'touch {place}/chowns; while [ -e {place}/chowns ]; do sleep 0.01; done; '
            with open(f'{place}/chown', 'w', encoding='utf-8') as file:
                file.write(f'#!/bin/sh\n{waits if moment == "chowns" else ""}'
                           f'exec {shutil.which("chown")} "$@"\n')
            os.chmod(file.name, 0o755)
            with subprocess.Popen(['scripts/docs', 'check', f'{project}/README.md'],
                                  start_new_session=True,
                                  env={**os.environ, 'TMPDIR': place,
                                       'PATH': f'{place}:{os.environ["PATH"]}'},
                                  preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
                                  stdout=said, stderr=said) as docs:
                while docs.poll() is None and not (
                        glob.glob(f'{place}/{moment}') or
                        any(line.startswith(moment) for line in below(docs.pid))):
                    time.sleep(0.001)
                send(docs.pid, number)
                if moment == 'chowns':
                    os.remove(f'{place}/chowns')
                docs.wait()
            said.seek(0)
            self.assertEqual(docs.returncode, 128 + number, said.read())
            self.assertEqual(glob.glob(f'{place}/docs.*'), [])

    def test_a_signal_that_the_caller_ignores_does_not_end_the_check(self):
        with tempfile.TemporaryDirectory(dir='build') as place:
            os.mkfifo(f'{place}/fifo')
            with open(f'{place}/README.md', 'w', encoding='utf-8') as file:
                file.write(f'```console\nhost# cat {place}/fifo\nend\n```\n')
            with subprocess.Popen(['scripts/docs', 'check', file.name], start_new_session=True,
                                  preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
                                  stdout=subprocess.PIPE, text=True) as docs:
                while docs.poll() is None and f'cat {place}/fifo' not in below(docs.pid):
                    time.sleep(0.01)
                os.killpg(docs.pid, signal.SIGHUP)
                with open(f'{place}/fifo', 'w', encoding='utf-8') as fifo:
                    fifo.write('end\n')
                said = docs.communicate()[0]
            self.assertEqual(docs.returncode, 0, said)

    def test_a_path_is_seen_from_where_its_caller_is(self):
        with tempfile.TemporaryDirectory(dir='build') as place:
            with open(f'{place}/README.md', 'w', encoding='utf-8') as file:
                file.write('```console\nhost# echo 1\n1\n```\n\n```cpp\n```\n')
            result = subprocess.run([os.path.abspath('scripts/docs'), 'check', 'README.md'], cwd=place,
                                    capture_output=True, text=True, check=False)
            self.assertIn(f'{place}/README.md: code that is cut from no source', result.stdout)

    def test_a_path_that_is_not_a_text_is_one_line(self):
        for path in ('nosuch.md', 'steps/02-pidns/main.cpp', 'steps', '/tmp/nosuch.md'):
            result = subprocess.run(['scripts/docs', 'check', path], capture_output=True,
                                    text=True, check=False)
            self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 1), path)

    def test_without_root_what_needs_no_running_is_checked(self):
        if os.geteuid() != 0:
            self.skipTest('root becomes somebody else here')
        with tempfile.TemporaryDirectory(dir='/tmp') as place:
            os.chmod(place, 0o755)
            for name in ('scripts', 'steps'):
                shutil.copytree(name, f'{place}/{name}')
            with open(f'{place}/steps/04-uts/README.md', 'a', encoding='utf-8') as file:
                file.write('\n```cpp\nint a;\n```\n')
            result = subprocess.run([f'{place}/scripts/docs', 'check', 'steps/04-uts/README.md'],
                                    capture_output=True, text=True, check=False, user=65534,
                                    cwd=place)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn('README.md: code that is cut from no source', result.stdout)

    def test_the_text_of_02_notices_that_its_flag_is_gone(self):
        result = subprocess.run(['scripts/ci/mutants', 'no CLONE_NEWPID'], capture_output=True,
                                env={**os.environ, 'TEXTS': 'yes'}, text=True, check=False)
        self.assertIn('steps/02-pidns/README.md:', result.stdout)
        self.assertIn('1 mutants, 0 not noticed', result.stdout)


class RanNowhere(unittest.TestCase):
    TEXT = '\n'.join(['```console', 'host# one', 'host# two', '```',
                      '```console if cgroup v2', 'host# three', '```'])

    def told(self, *ran):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            failed = check.check_ran({'a.md': self.TEXT}, set(ran))
        *lines, last = out.getvalue().splitlines()
        self.assertEqual((failed, last), (bool(lines), f'{2 - len(lines)} passed, {len(lines)} '
                                                       'failed, 0 skipped'))
        return lines

    def test_blocks_that_ran_on_several_machines_cover_all(self):
        self.assertEqual(self.told('a.md:2', 'a.md:3', 'a.md:6'), [])

    def test_a_block_that_ran_on_no_machine_is_named(self):
        self.assertEqual(self.told('a.md:2', 'a.md:3'),
                         ['a.md:5: ran nowhere: it is for cgroup v2'])

    def test_half_a_block_does_not_count(self):
        self.assertEqual(self.told('a.md:2', 'a.md:6'), ['a.md:1: ran nowhere'])

    def test_the_same_line_of_another_text_does_not_count(self):
        self.assertEqual(self.told('b.md:2', 'a.md:3', 'a.md:6'), ['a.md:1: ran nowhere'])


if __name__ == '__main__':
    summed.main()
