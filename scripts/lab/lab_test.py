#!/usr/bin/python3
"""Tests of the lab: it is a machine of its own. What goes in and comes out of it, and what stays
inside. Ends with a line that sums all.

  needs   QEMU, and a kernel (scripts/lab/boot --fetch), else most are skipped; make build rootfs
"""

import glob
import os
import platform
import shutil
import signal
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from host import testing

QEMU = 'qemu-system-' + ('aarch64' if platform.machine() == 'aarch64' else 'x86_64')
CACHE = os.environ.get('LAB_CACHE') or testing.TOP + '/build/lab'
# A lab in the lab would take minutes to boot.
HAS_LAB = ('LAB' not in os.environ and shutil.which(QEMU) is not None and
           bool(glob.glob(glob.escape(CACHE) + '/*/vmlinux')))


class Lab(testing.OnAHost):
    def setUp(self):
        self.place = self.scratch()  # Of this test's labs alone.

    def lab(self, words, before=''):
        return testing.shell(f'{before} TMPDIR={self.place} scripts/lab/boot {words}')

    def fails(self, words, error, before=''):
        """With 125 and one line."""
        result = self.lab(words, before)
        self.assertEqual((result.status, result.err), (125, f'lab: {error}\n'))

    def is_tidy(self):
        return not os.listdir(self.place)


class Usage(Lab):
    def test_a_setting_that_is_not_a_number_is_refused_before_the_boot(self):
        for name in ('LAB_MEM', 'LAB_CPUS', 'LAB_TIMEOUT'):
            for value in ('abc', '-1', '1x', '1G', '010', "' '"):
                with self.subTest(f'{name}={value}'):
                    result = self.lab('true', f'timeout 9 env {name}={value}')
                    self.assertEqual(result.status, 125)
                    self.assertIn('whole numbers, not ', result.err)

    def test_help_needs_no_kernel_and_an_unknown_option_is_one_line(self):
        result = self.lab('--help', 'LAB_CACHE=/proc/cache')
        self.assertEqual((result.status, result.err), (0, ''))
        self.assertTrue(result.out.startswith('Runs a command in the lab'), result.out)
        self.fails('--no-such', 'there is no option --no-such; hint: scripts/lab/boot --help',
                   'LAB_CACHE=/proc/cache')


@unittest.skipUnless(HAS_LAB, 'it needs QEMU and scripts/lab/boot --fetch')
class Inside(Lab):
    def test_the_command_has_the_callers_streams_and_the_lab_its_status(self):
        readme = testing.contents('README.md')
        result = self.lab(
            "sh -c 'cat; echo spoilt >README.md && cat README.md;"
            'stat -f -c %T /sys/fs/cgroup /tmp build/rootfs; id -u; echo "$1";'
            "sleep 1000 & echo error >/dev/stderr; exit 7' sh \"it's  so\"",
            "printf 'one\\ntwo\\n' |")
        self.assertEqual(result, (
            7, "one\ntwo\nspoilt\ncgroup2fs\next2/ext3\next2/ext3\n0\nit's  so\n", 'error\n'))
        self.assertEqual(testing.contents('README.md'), readme)

    def test_what_a_learner_has_reached_in_it_is_remembered_outside(self):
        my = f'build/my-lab-{os.getpid()}'
        os.mkdir(my)
        self.addCleanup(shutil.rmtree, my)
        testing.write(my + '/.progress.json', 'before\n')
        result = self.lab(f"sh -c 'cd {my}; cat .progress.json; echo after >.progress.json; "
                          "echo x >other; exit 3'", f'MY={my}')
        self.assertEqual((result.status, result.out, os.listdir(my)),
                         (3, 'before\n', ['.progress.json']), result.err)
        self.assertEqual(testing.contents(my + '/.progress.json'), 'after\n')

    @testing.takes_minutes
    def test_an_ordinary_user_in_the_lab_can_set_limits_in_the_delegated_cgroup(self):
        result = self.lab("--user sh -c 'id -u; build/07-cgroup-memory --net none --memory 16M "
                          "build/rootfs tail /dev/zero' </dev/null")
        self.assertEqual(result.status, 137, result.err)
        self.assertNotEqual(result.out, '0\n')
        self.assertIn('came to its memory limit', result.err)

    def test_an_ordinary_user_of_this_machine_can_do_the_course_in_the_lab(self):
        """Who is not in this machine's list of users, and owns nothing on it."""
        somebody = ''
        if testing.IS_ROOT:
            os.chown(self.place, testing.USER, testing.USER)
            somebody = testing.AS_USER + 'env'
        run = 'run() { echo $1; "$@" build/rootfs sh -c "id -u; exit 3" || echo $?; }; '
        anyones = ('for step in build/0[345]*; do run $step; done; '
                   'for step in build/0[678]*; do run $step --net none; done')
        roots = [f'build/{step}\n0\n3\n' for step in (
            '01-chroot', '02-pidns', '03-userns', '04-uts', '05-mountns', '06-netns-veth',
            '07-cgroup-memory', '08-all')]
        result = self.lab(f"sh -c '{run}for step in build/0*; do run $step; done; {anyones}'",
                          somebody)
        self.assertEqual(result.out, ''.join(roots + roots[2:]), result.err)
        result = self.lab(f"--user sh -c '{run}{anyones}'", somebody)
        self.assertEqual(result.out, ''.join(roots[2:]), result.err)

    def test_the_terminal_in_the_lab_has_the_size_of_the_callers_terminal(self):
        result = testing.shell(
            f"TMPDIR={self.place} script -qec 'stty rows 33 cols 99; "
            "scripts/lab/boot sh -c \"tty; stty size; exit 5\"' /dev/null")
        self.assertEqual(result.status, 5)
        self.assertIn('/dev/hvc0', result.out)
        self.assertIn('33 99', result.out)

    def test_the_shell_of_the_lab_says_that_it_is_the_lab_and_how_to_leave(self):
        result = testing.shell(
            f"echo 'exit 5' | TMPDIR={self.place} script -qec scripts/lab/boot /dev/null")
        self.assertEqual(result.status, 5)
        self.assertIn('This is the lab, a throw-away Linux, and you are root in it.', result.out)

    def test_a_status_says_which_signal_ended_the_command(self):
        self.assertEqual(self.lab("sh -c 'kill -USR1 $$'").status, 128 + signal.SIGUSR1)

    def test_a_command_that_takes_too_long_ends_with_124_and_one_line(self):
        result = self.lab('sleep 1000', 'LAB_TIMEOUT=1')
        self.assertEqual((result.status, result.err),
                         (124, 'lab: no end after 1 s (LAB_TIMEOUT)\n'))
        self.assertTrue(self.is_tidy())

    def comes_to_run(self, program):
        # A process is known by the first fifteen letters of its program.
        self.assertTrue(testing.comes_to_run(program.pid, QEMU[:15]))

    def test_a_signal_ends_the_lab_and_nothing_is_left(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                lab = self.running(f'env TMPDIR={self.place} scripts/lab/boot sleep 1000')
                self.comes_to_run(lab)
                lab.send_signal(number)
                self.assertEqual(testing.finish(lab), 128 + number)
                self.assertTrue(self.is_tidy())

    def test_nothing_of_the_lab_is_left_when_its_terminal_is_closed(self):
        terminal = self.running(
            f"env TMPDIR={self.place} script -qec 'scripts/lab/boot sleep 1000' /dev/null")
        self.comes_to_run(terminal)
        terminal.kill()
        self.assertEqual(testing.finish(terminal), 128 + signal.SIGKILL)
        self.assertTrue(testing.eventually(self.is_tidy))

    def test_125_and_one_line_if_there_is_no_such_kernel(self):
        self.fails('true', 'cannot read /no/such.deb (LAB_DEB)', 'LAB_DEB=/no/such.deb')
        cache = f'LAB_CACHE={self.scratch()}'
        self.fails('true', 'README.md is no package', f'{cache} LAB_DEB=README.md')
        self.fails('true', 'its kernel is not here yet; hint: scripts/lab/boot --fetch',
                   f'{cache} LAB_OFFLINE=1 LAB_DEB=backports')

    def test_125_and_one_line_if_no_kernel_can_be_kept(self):
        self.fails('true', 'no kernel can be kept in /proc/cache; '
                   'hint: LAB_CACHE=DIRECTORY, one of yours', 'LAB_CACHE=/proc/cache')

    def test_a_machine_that_does_not_start_ends_at_once_with_125(self):
        result = self.lab('true', 'LAB_MEM=1')
        self.assertEqual(result.status, 125)
        self.assertIn('lab: the machine ended without a status', result.err)
        self.assertTrue(self.is_tidy())

    def test_if_kvm_does_not_work_the_hint_is_to_run_without_it(self):
        place = self.scratch()  # With a QEMU that fails.
        self.must(f'cd {place} && for name in qemu-system-x86_64 qemu-system-aarch64; do '
                  "printf '#!/bin/sh\\nexit 134\\n' >$name; chmod 755 $name; done")
        for accelerator in ('kvm', 'tcg'):
            with self.subTest(accelerator):
                result = self.lab('true', f'PATH={place}:$PATH LAB_ACCEL={accelerator}')
                self.assertEqual(result.status, 125)
                self.assertEqual('; hint: LAB_ACCEL=tcg ' in result.err, accelerator == 'kvm',
                                 result.err)


@unittest.skipUnless(HAS_LAB, 'it needs QEMU and scripts/lab/boot --fetch')
class Kernels(Lab):
    def setUp(self):
        super().setUp()
        self.packages = self.scratch()
        # Where the kernel is that is here, as $kernel.
        self.here = (f'set -e; kernel=$(scripts/lab/kernel "{CACHE}"); '
                     f'cd {self.packages}; ')

    @testing.takes_minutes
    def test_LAB_DEB_boots_the_kernel_of_a_package(self):
        """Packed as others pack one: Debian, by ar(1); Arch, with all below /usr; and Fedora, the
        modules in a package of their own. In front of an RPM's cpio archive is a lead of 96 bytes,
        and two headers, which may be empty."""
        self.must(self.here + 'mkdir -p boot usr/lib; cp -r "$kernel/lib/modules" usr/lib/; '
                  'cp "$kernel/busybox" .; cp "$kernel/vmlinux" boot/vmlinuz-of-mine')
        self.must(self.here + 'tar -c boot usr | zstd -q -1 >mine.pkg.tar.zst')
        self.must(self.here + 'tar -c boot usr | gzip -1 >data.tar.gz; echo 2.0 >debian-binary; '
                  'ar rc mine.deb debian-binary data.tar.gz')
        self.must(self.here + '''zeros() { head -c "$1" /dev/zero; }
for part in boot usr; do
  { printf '\\355\\253\\356\\333\\003'; zeros 91
    printf '\\216\\255\\350\\001'; zeros 12
    printf '\\216\\255\\350\\001'; zeros 12
    find $part | ./busybox cpio -o -H newc 2>/dev/null | zstd -q -1; } >$part.rpm
done''')
        for packages in ('mine.pkg.tar.zst', 'mine.deb', 'boot.rpm usr.rpm'):
            with self.subTest(packages):
                result = testing.shell(
                    f"cd {self.packages}; LAB_CACHE=cache LAB_DEB='{packages}' "
                    f"TMPDIR={self.place} '{testing.TOP}/scripts/lab/boot' id -u")
                self.assertEqual((result.status, result.out), (0, '0\n'), result.err)

    def test_a_kernel_without_a_module_that_the_lab_needs_is_an_error(self):
        self.must(self.here + 'mkdir lib boot; cp -r "$kernel/lib/modules" lib/; '
                  'cp "$kernel/vmlinux" boot/vmlinuz; rm lib/modules/*/kernel/fs/9p/9p.ko; '
                  'tar -cf it.tar boot lib')
        self.fails('true', f'the kernel has no module 9p in {self.packages}/it.tar',
                   f'LAB_CACHE={self.packages} LAB_DEB={self.packages}/it.tar')

    @testing.needs_root
    @unittest.skipUnless(shutil.which('apt-get'), 'it needs apt-get')
    def test_ubuntus_modules_are_fetched_with_its_kernel(self):
        """An archive as Ubuntu's, of packages made here, and a machine with no kernel of its own
        that we could take."""
        self.must(self.here + '''
package() {
  mkdir -p "$1/DEBIAN"
  echo "Package: $1
Version: 1
Architecture: $(dpkg --print-architecture)
Maintainer: us
Description: one of ours
Depends: $2" >"$1/DEBIAN/control"
  dpkg-deb -Znone -b "$1" "$1.deb" >/dev/null
  { dpkg-deb -f "$1.deb"
    echo "Filename: ./$1.deb"
    stat -c 'Size: %s' "$1.deb"
    echo "SHA256: $(sha256sum <"$1.deb" | cut -d' ' -f1)"
    echo; } >>Packages
}
mkdir -p linux-image-6-generic/boot linux-modules-6-generic/lib
cp "$kernel/vmlinux" linux-image-6-generic/boot/vmlinuz-6-generic
cp -r "$kernel/lib/modules" linux-modules-6-generic/lib/
package linux-image-6-generic linux-modules-6-generic
package linux-modules-6-generic linux-base
package linux-image-generic linux-image-6-generic
mkdir -p lists/partial cache/archives/partial
echo "deb [trusted=yes] file:$PWD ./" >sources.list
cat >apt.conf <<END
Dir::Etc::SourceList "$PWD/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Parts "/dev/null";
Dir::State::lists "$PWD/lists";
Dir::Cache "$PWD/cache";
APT::Sandbox::User "root";
END
APT_CONFIG=$PWD/apt.conf apt-get -qq update
''')
        result = testing.shell(
            "unshare -m sh -c 'for directory in /boot /lib/modules; do "
            '[ ! -d $directory ] || mount -t tmpfs none $directory; done; '
            f'export APT_CONFIG={self.packages}/apt.conf; '
            f"exec scripts/lab/kernel {self.packages}/kernels'")
        self.assertEqual((result.status, result.err), (
            0, 'lab: fetching linux-image-6-generic linux-modules-6-generic, once\n'))
        self.assertTrue(glob.glob(self.packages + '/kernels/*/lib/modules/*'))


if __name__ == '__main__':
    testing.main()
