#!/usr/bin/python3
"""Tests that a hostile image, or a hostile container, reaches nothing of the host through
build/oci. Most are after a CVE of runc, crun or another runtime. Ends with a line that sums all."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bundles import OCI, SMALLEST, OnABundle, hierarchies, testing

SECRET = 'a secret of the host'


class Hostile(OnABundle):
    def setUp(self):
        super().setUp()
        self.secret = self.place + '/secret'
        testing.write(self.secret + '/file', SECRET)
        # From any directory in the image, more dots than it needs.
        self.way_out = '../' * 20 + self.secret.lstrip('/')

    def link(self, place, target):
        """Puts a link in the place of a file or directory of the image."""
        self.must(f'rm -rf {self.root}{place} && ln -s {target} {self.root}{place}')

    def is_untouched(self, text):
        self.assertNotIn(SECRET, text)
        self.assertEqual(os.listdir(self.secret), ['file'])
        self.assertEqual(testing.contents(self.secret + '/file'), SECRET)

    def test_the_working_directory_is_a_descriptor(self):
        """CVE-2024-21626: process.cwd was /proc/self/fd/N, and N a directory of the host."""
        for number in range(3, 16):
            self.is_untouched(self.ran({'/process/cwd': f'/proc/self/fd/{number}'},
                                       f'cat {self.way_out}/file'))

    def test_the_program_is_behind_a_descriptor(self):
        for number in range(3, 16):
            self.is_untouched(self.ran({'/process/args': [
                f'/proc/self/fd/{number}/../../../../../../bin/cat', self.secret + '/file']}))

    def test_exec_goes_to_a_descriptor(self):
        """CVE-2024-21626, the other way: `exec` has the descriptors of the host open, too."""
        self.create({'/process/args': ['sleep', '1000']})
        self.oci('start it')
        for number in range(3, 16):
            testing.write(self.place + '/process.json', json.dumps({
                'cwd': f'/proc/self/fd/{number}', 'env': ['PATH=/bin'],
                'args': ['sh', '-c', f'pwd; cat {self.way_out}/file']}))
            status, text = self.oci(f'exec --process {self.place}/process.json it')
            self.assertEqual(status, 125)
            self.assertRegex(text, r'^oci: (chdir\(2\)|getcwd\(3\))')
            self.is_untouched(text)

    def test_a_mount_point_goes_up(self):
        """A destination has dots, or is the root itself."""
        for place in ('..', '../../..' + self.secret, '/a/../../..' + self.secret,
                      self.secret + '/../secret', '/', '/.'):
            self.is_untouched(self.ran({'/mounts+': {'destination': place, 'type': 'tmpfs'}},
                                       f'echo x >file; cat {self.way_out}/file'))

    def test_a_masked_path_is_a_link_of_the_kernel(self):
        """What is covered, or made read-only, would be a file of the host."""
        for number in range(3, 16):
            self.link('/mnt', f'/proc/self/fd/{number}')
            self.is_untouched(self.ran({'/linux/maskedPaths': ['/mnt', '/mnt/..'],
                                        '/linux/readonlyPaths': ['/mnt', '/mnt/..']}, 'cat /mnt'))
            self.assertTrue(os.access(self.place, os.W_OK))

    def test_a_mount_point_is_a_link_to_the_host(self):
        """CVE-2015-3629, CVE-2019-19921, CVE-2021-30465: a mount went through a link of the
        image."""
        for target in (self.way_out, self.secret):
            self.link('/mnt', target)
            self.is_untouched(self.ran({'/mounts+': {'destination': '/mnt', 'type': 'tmpfs'}},
                                       'echo x >/mnt/file'))

    def test_a_volume_has_a_link_for_a_later_mount_point(self):
        """CVE-2021-30465, without the race: the second mount lies in the first."""
        volume = self.place + '/volume'
        self.must(f'mkdir {volume} && ln -s {self.secret} {volume}/link && '
                  f'ln -s {self.way_out} {volume}/dots')
        for name in ('link', 'dots'):
            text = self.ran({
                '/mounts+': {'destination': '/vol', 'source': volume, 'options': ['bind']},
                '/mounts/4': {'destination': '/vol', 'source': volume, 'options': ['bind']},
                '/linux/devices': [{'path': f'/vol/{name}/x', 'type': 'p'}]},
                            f'echo x >/vol/{name}/file; cat {self.secret}/file')
            self.is_untouched(re.sub('x', '', text))

    def test_a_missing_mount_point_is_made_on_the_host(self):
        """CVE-2024-45310: directories and files were made where a link led."""
        self.link('/mnt', self.way_out)
        for source in (self.root + '/bin', self.root + '/bin/busybox'):
            self.is_untouched(self.ran({'/mounts+': {
                'destination': '/mnt/made/here', 'source': source, 'options': ['bind']}}, 'true'))

    def test_a_mount_point_is_a_link_of_the_kernel(self):
        for number in range(3, 10):
            self.link('/mnt', f'/proc/self/fd/{number}')
            self.is_untouched(self.ran({'/mounts+': {'destination': '/mnt/x', 'type': 'tmpfs'}},
                                       'true'))

    def test_proc_is_a_link(self):
        """CVE-2019-19921, CVE-2023-27561, CVE-2023-28642: then the masks were elsewhere."""
        self.must(f'mv {self.root}/proc {self.root}/other && ln -s other {self.root}/proc')
        before = testing.contents('/proc/sys/kernel/panic')
        text = self.ran({}, 'wc -c </other/keys; echo 77 >/other/sys/kernel/panic')
        self.assertIn('0\n', text)
        self.assertIn('Read-only', text)
        self.assertEqual(testing.contents('/proc/sys/kernel/panic'), before)

    def test_proc_is_a_volume(self):
        """CVE-2019-16884, CVE-2025-52881: writes that were meant for /proc went to a fake one."""
        fake = self.place + '/fake'
        self.must(f'mkdir -p {fake}/self/attr {fake}/sys/net/ipv4 {fake}/sys/kernel && '
                  f'ln -s {self.secret}/file {fake}/sys/net/ipv4/ip_forward')
        self.is_untouched(self.ran({
            '/mounts/0': {'destination': '/proc', 'source': fake, 'options': ['bind']},
            '/linux/sysctl': {'net.ipv4.ip_forward': '1'}}, 'echo hi'))

    def test_the_null_device_is_a_link(self):
        """CVE-2025-31133: what masks a path was bound from where the image's /dev/null led."""
        dev = self.place + '/dev'
        self.must(f'mkdir -p {dev}/pts && ln -s {self.secret}/file {dev}/null')
        text = self.ran({'/mounts/1': {'destination': '/dev', 'source': dev, 'options': ['bind']}},
                        'cat /proc/keys')
        self.assertRegex(text, r'^oci: (open\(2\)|/dev/null)')
        self.is_untouched(text)

    def test_devices_of_the_host_that_are_bound_stay_as_they_are(self):
        """With -v /dev:/dev, the links that belong to a container would be made on the host."""
        dev = self.place + '/dev'
        self.must(f'mkdir {dev} {dev}/pts && mknod {dev}/null c 1 3 && echo mine >{dev}/ptmx')
        for place in ('/dev', '/dev/', '//dev', '/./dev', '/proc/../dev'):
            self.ran({'/mounts/1': {'destination': place, 'source': dev, 'options': ['rbind']}},
                     'true')
            self.assertEqual(sorted(os.listdir(dev)), ['null', 'ptmx', 'pts'])
            self.assertEqual(testing.contents(dev + '/ptmx'), 'mine\n')
        self.link('/there', 'dev')
        self.ran({'/mounts+': {'destination': '/there', 'source': dev, 'options': ['rbind']}}, 'true')
        self.link('/dev', 'there/dev')
        self.link('/there', 'tmp')
        self.ran({'/mounts/1': {'destination': '/there', 'source': self.place,
                                'options': ['rbind']}}, 'true')
        self.assertEqual(sorted(os.listdir(dev)), ['null', 'ptmx', 'pts'])

    def test_the_console_is_a_link(self):
        """CVE-2025-52565: the terminal was bound to where /dev/console led, before the masks."""
        self.link('/dev', self.way_out)
        self.is_untouched(self.ran({'/mounts/1': {'destination': '/opt', 'type': 'tmpfs'}}, 'true'))

    def test_the_image_has_a_device(self):
        """A disk of the host, as a node that the image brings."""
        numbers = os.stat('/').st_dev
        self.must(f'mknod {self.root}/disk b {os.major(numbers) or 254} {os.minor(numbers)}')
        self.assertIn('not permitted', self.ran({}, 'head -c 1 /disk'))

    def test_the_image_runs_our_program(self):
        """CVE-2019-5736: a program of the image began with #!/proc/self/exe, and wrote to it."""
        testing.write(self.root + '/bin/evil', '#!/proc/self/exe\n')
        self.must(f'chmod 755 {self.root}/bin/evil && sha256sum {OCI} >{self.place}/sum')
        self.ran({'/process/args': ['/bin/evil']})
        status, _ = self.create({'/process/args': ['sleep', '1000']})
        self.assertEqual(status, 0)
        self.oci('start it')
        testing.write(self.place + '/process.json', json.dumps({
            'cwd': '/', 'args': ['sh', '-c', 'exec 3<>/proc/self/exe; echo evil >&3'],
            'env': ['PATH=/bin']}))
        self.oci(f'exec --process {self.place}/process.json it')
        self.must(f'sha256sum -c {self.place}/sum')

    def test_a_container_traces_what_enters_it(self):
        """CVE-2016-9962: it opened descriptors of runc's, when runc had joined its namespaces."""
        self.create({'/process/args': ['sh', '-c', '''while :; do for process in /proc/[0-9]*; do
            case $process in /proc/1|/proc/$$) continue ;; esac
            for file in $process/fd/*; do readlink $file; done; cat $process/cwd/etc/shadow
            done >/seen 2>/dev/null; done'''], **{
                f'/process/capabilities/{name}+': 'CAP_SYS_PTRACE'
                for name in ('bounding', 'permitted', 'effective')}})
        self.oci('start it')
        testing.write(self.place + '/process.json', json.dumps({
            'cwd': '/', 'args': ['true'], 'env': ['PATH=/bin']}))
        for _ in range(30):
            self.assertEqual(self.oci(f'exec --process {self.place}/process.json it'), (0, ''))
        self.assertNotIn(self.place, testing.contents(self.root + '/seen'))

    def test_exec_has_the_capabilities_that_it_was_given(self):
        """CVE-2022-29162, CVE-2022-27650: inheritable capabilities were more than none."""
        self.assertIn('CapInh:\t0000000000000000\n', self.ran({}, 'grep CapInh /proc/self/status'))
        self.create({'/process/args': ['sleep', '1000']})
        self.oci('start it')
        testing.write(self.place + '/process.json', json.dumps({
            'cwd': '/', 'args': ['grep', '-E', '^Cap', '/proc/self/status'], 'env': ['PATH=/bin'],
            'capabilities': {name: ['CAP_KILL']
                             for name in ('bounding', 'permitted', 'effective')}}))
        _, text = self.oci(f'exec --process {self.place}/process.json it')
        self.assertEqual(re.findall(r'\t0*([0-9a-f]+)$', text, re.M), ['0', '20', '20', '20', '0'])

    def test_a_device_has_numbers(self):
        """Without them, the rule for it would be a rule for all devices."""
        for device in ({'type': 'c'}, {'type': 'c', 'major': -1, 'minor': -1}, {'major': 1},
                       {'type': 'b', 'major': 1 << 33, 'minor': 0}):
            status, text = self.create({'/linux/devices': [{'path': '/dev/x', **device}]})
            self.assertEqual(status, 125)
            self.assertRegex(text, 'config.json: /(type|major|minor) is (null|-1|8589934592)\n')

    def test_a_text_has_a_nul(self):
        """The kernel would read less than what was checked."""
        for key, value in (('/process/cwd', '/\0x'), ('/process/args', ['sh\0x']),
                           ('/root/path', 'rootfs\0/x'), ('/linux/cgroupsPath', '/mine\0/it'),
                           ('/linux/maskedPaths', ['/proc/keys\0x']),
                           ('/linux/sysctl', {'net.ipv4.ip_forward\0x': '1'})):
            status, text = self.create({key: value})
            self.assertEqual(status, 125)
            self.assertRegex(text, 'config.json: .* has a NUL, which is not supported')

    def test_a_config_json_is_deep_or_long_or_says_a_thing_twice(self):
        config = json.dumps(SMALLEST)[:-1]
        linux = json.dumps(SMALLEST['linux'])
        for more, wanted in (
                ('"annotations": {"a": "' + 'x' * 5000000 + '"}', '^$'),
                ('"annotations": ' + '[' * 200000 + ']' * 200000, 'more than 50 levels'),
                ('"annotations": ' + '[' * 200000, 'more than 50 levels'),
                # The last one counts, for what is checked and for what is done.
                ('"linux": {"mountLabel": "x"}, "linux": ' + linux, '^$'),
                ('"linux": {"mountLabel": "x"}', 'mountLabel is not supported')):
            testing.write(self.bundle + '/config.json', f'{config}, {more}}}')
            status, text = self.created()
            self.assertRegex(text, wanted)
            self.assertEqual(status, 0 if wanted == '^$' else 125)
            self.oci('delete --force it')

    def test_a_value_has_another_type(self):
        """What is asked for below it would not be seen."""
        for key in ('/process/user', '/process/capabilities', '/linux/resources/memory',
                    '/linux/seccomp', '/root', '/mounts', '/hooks'):
            for value in (7, 'x', [7], True):
                with self.subTest(key, value=value):
                    status, text = self.create({key: value})
                    self.assertEqual((status, text[:17]), (125, 'oci: config.json:'))

    def test_an_id_is_a_name_and_no_path(self):
        for name in ('../x', 'a/b', '.', '..', 'é', '$x'):
            status, text = self.oci(f'create --bundle {self.bundle} {name}')
            self.assertEqual((status, text), (125, 'oci: an id has only A-Z a-z 0-9 _ + - .\n'))

    def test_a_cgroup_of_others_is_not_taken(self):
        """The limits would hold for them, and delete would kill them."""
        for place in hierarchies()[0]:
            os.makedirs(place + '/mine/theirs')
        for path in ('/', '//', '/mine', '/../x', '/mine/../..', '/x\n0::/mine'):
            status, text = self.create({'/linux/cgroupsPath': path})
            self.assertEqual(status, 125)
            self.assertRegex(text, 'is used by others|is not supported')
            for place in hierarchies()[0]:
                self.assertTrue(os.path.isdir(place + '/mine/theirs'))

    def test_a_process_in_a_cgroup_of_others_lives_on(self):
        """A create that fails undoes what it has done, and nothing else."""
        process = self.running('sleep 1000')
        for place in hierarchies()[0]:
            os.mkdir(place + '/mine')
            testing.write(place + '/mine/cgroup.procs', str(process.pid))
        for command in (lambda: self.create({'/linux/cgroupsPath': '/mine'}),
                        lambda: self.oci('delete --force it')):
            command()
            self.assertIsNone(process.poll())
        testing.end(process)

    def test_settings_of_the_host_are_not_written(self):
        """CVE-2022-0811 (cr8escape): kernel.core_pattern was set through a sysctl."""
        for key in ('kernel.core_pattern', 'kernel.panic', 'vm.panic_on_oom', 'fs.file-max',
                    'net/ipv4/../../kernel/panic', 'kernel.shm_rmid_forced/../panic'):
            status, text = self.create({'/linux/sysctl': {key: '1'}})
            self.assertEqual(status, 125)
            self.assertIn('is a setting of the host', text)
        status, text = self.create({'/linux/sysctl': {'net.ipv4.ip_forward': '1'},
                                    '/linux/namespaces': [{'type': 'mount'}, {
                                        'type': 'network', 'path': '/proc/1/ns/net'}]})
        self.assertIn('is a setting of the host', text)

    def test_a_filter_is_not_passed_by_other_numbers(self):
        """CVE-2019-10063 and x32: the same call by another number, or with a bit set above."""
        self.must(f'printf %s \'{X32}\' | gcc -static -x c -o {self.root}/bin/x32 -')
        text = self.ran({'/linux/seccomp': {'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': [
            {'names': ['mkdir', 'mkdirat'], 'action': 'SCMP_ACT_ERRNO'},
            {'names': ['kill'], 'action': 'SCMP_ACT_ERRNO',
             'args': [{'index': 1, 'value': 18, 'op': 'SCMP_CMP_EQ'}]}]}}, 'x32; ls -d /made')
        self.assertIn('/made: No such file', text)

    def test_a_long_filter_is_not_cut(self):
        """The kernel takes 4096 instructions, and a jump that compares goes over 255."""
        conditions = [{'index': 0, 'value': number, 'op': 'SCMP_CMP_EQ'} for number in range(1000)]
        rule = {'names': ['getpid'], 'action': 'SCMP_ACT_ERRNO'}
        for rules in ([{**rule, 'args': [condition]} for condition in conditions],
                      [{**rule, 'args': conditions[:100]}]):
            status, text = self.create({'/linux/seccomp': {'defaultAction': 'SCMP_ACT_ALLOW',
                                                           'syscalls': rules}})
            self.assertEqual(status, 125)
            self.assertIn('too long', text)

    def test_a_map_of_ids_that_the_kernel_refuses(self):
        """CVE-2021-43784: a length overflowed, and another map was written."""
        many = [{'containerID': number, 'hostID': 100000 + number, 'size': 1}
                for number in range(4000)]
        status, text = self.create({'/linux/namespaces+': {'type': 'user'},
                                    '/linux/uidMappings': many, '/linux/gidMappings': many})
        self.assertEqual(status, 125)
        self.assertRegex(text, r'^oci: (open|write)\(2\) .*map')


X32 = r'''
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
#ifdef __x86_64__
  syscall(0x40000000 + SYS_mkdir, "/made", 0755);
  syscall(0x40000000 + SYS_mkdirat, -100, "/made", 0755);
#endif
  syscall(SYS_kill + (1L << 32), 0, 0);
  return syscall(SYS_mkdir, "/made", 0755) == 0;
}
'''


if __name__ == '__main__':
    testing.main()
