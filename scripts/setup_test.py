#!/usr/bin/python3
"""Tests of scripts/setup, which install nothing here: what it would do, and under which names.
Ends with a line that sums all."""

import importlib.util
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from host import testing


class Setup(testing.OnAHost):
    def test_a_row_of_the_table_has_a_check_and_five_names(self):
        table = re.search(r'^# when .*\n((?:.*\n)+?)END$', testing.contents('scripts/setup'), re.M)
        rows = [line.split('|') for line in table[1].splitlines()]
        self.assertGreater(len(rows), 30)
        for row in rows:
            self.assertEqual(len(row), 7, row)
        for manager in ('apt', 'dnf', 'pacman', 'apk', 'zypper'):
            self.assertIn('git', self.must(f'scripts/setup --list {manager} test').splitlines())

    def test_each_module_of_another_project_that_a_script_imports_is_in_the_table(self):
        known = set(re.findall(r'\| module (\w+)', testing.contents('scripts/setup')))
        text = self.must("grep -rhIE '^ *(from .* )?import ' scripts")
        named = {source or name for source, name in
                 re.findall(r'^ *(?:from (\w+).* )?import (\w+)', text, re.M)}
        for name in sorted(named - set(os.listdir('scripts'))):
            spec = importlib.util.find_spec(name)
            if spec is None or '-packages' in (spec.origin or ''):
                self.assertIn(name, known)
        self.assertIn('aiohttp', named)

    @testing.needs_root
    @testing.asks_no_kernel
    def test_without_a_package_manager_one_line_says_what_is_missing(self):
        result = testing.shell(
            f"unshare --mount sh -c '{testing.TAKE_PACKAGE_MANAGERS}"
            "CXX=no-such-g++ scripts/setup --dry-run'")
        self.assertEqual(result, (
            1, '', 'setup: no package manager known here; missing: compiler no-such-g++ '
            '-std=c++20, linker no-such-g++ -static; see steps/hosts.md\n'))

    def test_on_another_system_than_linux_setup_says_so_first(self):
        place = self.scratch()
        self.must(f"cd {place} && printf '#!/bin/sh\\necho Darwin\\n' >uname && chmod 755 uname")
        result = testing.shell(f'PATH={place}:$PATH scripts/setup run')
        self.assertEqual(result.status, 1)
        self.assertEqual(len(result.err.splitlines()), 1, result.err)
        self.assertIn('this is Darwin, and containers need Linux', result.err)

    def test_what_is_missing_does_not_depend_on_the_path_of_the_caller(self):
        told = testing.shell('scripts/setup --dry-run run')
        for path in ('-u PATH', 'PATH=', 'PATH=/no/such'):
            self.assertEqual(
                testing.shell(f'/usr/bin/env {path} /bin/sh scripts/setup --dry-run run'), told)

    @testing.needs_root
    def test_a_dev_without_null_is_not_taken_for_missing_programs(self):
        told = testing.shell("unshare --mount sh -c 'mount -t tmpfs none /dev; "
                             "sh scripts/setup --dry-run'")
        self.assertEqual(told, (1, '', 'setup: /dev has no device null; hint: scripts/doctor names '
                                'what mends it\n'))

    @testing.needs_root  # An ordinary user's reset looks at what others do on the machine.
    def test_CDPATH_changes_no_directory_of_reset(self):
        place = self.scratch()
        self.must(f'mkdir -p {place}/scripts/ci {place}/rootfs')
        told = testing.shell('scripts/reset --dry-run')
        self.assertEqual(testing.shell(f'CDPATH={place} scripts/reset --dry-run'), told)

    def test_where_a_script_goes_does_not_depend_on_cdpath(self):
        scripts = self.must("grep -rlE '^#!/bin/(ba)?sh' scripts rootfs .ci").split()
        self.assertIn('scripts/reset', scripts)
        for script in scripts:
            for line in re.findall(r'^.*\bcd\b.*dirname "\$0".*$', testing.contents(script), re.M):
                self.assertIn("CDPATH='' cd -- ", line, script)

    @testing.needs_root
    @testing.asks_no_kernel
    def test_if_something_is_still_missing_the_reason_of_the_package_manager_is_shown(self):
        place = self.scratch()
        for status, told in ((0, 'setup: still missing: '),
                             (100, 'setup: apt-get failed, still missing: ')):
            testing.write(f'{place}/apt-get', '#!/bin/sh\necho "E: no network" >&2\n'
                                              f'[ "$2" = -s ] || exit {status}\n')
            os.chmod(f'{place}/apt-get', 0o755)
            result = testing.shell(f'PATH={place}:$PATH CXX=no-such-g++ scripts/setup run')
            self.assertEqual(result.status, 1)
            lines = result.err.splitlines()
            self.assertIn('E: no network', lines)
            self.assertTrue(lines[-1].startswith(told), lines)

    @testing.needs_root
    def test_in_a_copy_of_another_user_the_hint_is_chown(self):
        place = self.scratch()
        self.must(f'cp -r scripts {place}')
        result = testing.shell(f'cd / && {testing.AS_USER} sh {place}/scripts/setup run')
        self.assertEqual(result.status, 1)
        self.assertIn(f"hint: sudo chown -R {testing.USER}:{testing.USER} '{place}'", result.err)


if __name__ == '__main__':
    testing.main()
