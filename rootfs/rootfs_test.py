#!/usr/bin/python3
"""Tests of the root filesystem: rootfs/build promises a tree that is the same for everybody, and
to write over nothing that it did not make. Ends with a line that sums all.

  needs   make build rootfs
"""

import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + '/scripts')

from host import testing


def fingerprint(tree):
    """Names, kinds, modes, times, and contents."""
    return testing.shell(
        f"cd '{tree}' && tar --sort=name --numeric-owner -cf - . | sha256sum").out


class Rootfs(testing.OnAHost):
    def setUp(self):
        self.place = self.scratch()
        self.tree = self.place + '/tree'

    def refuses(self, line):
        result = testing.shell(line)
        self.assertEqual(result.status, 1, line)
        return result.err


class Build(Rootfs):
    @testing.asks_no_kernel
    def test_two_builds_are_the_same_to_the_byte_and_the_time_stamp(self):
        other = self.place + '/two with a blank'
        self.must(f'rootfs/build {self.tree}')
        self.must(f"rootfs/build '{other}'")
        first = fingerprint(self.tree)
        self.assertEqual(first, fingerprint(other))
        self.must(f'touch {self.tree}/tmp/new')
        self.assertNotEqual(first, fingerprint(self.tree))
        self.must(f'rootfs/build {self.tree}')  # Made anew.
        self.assertEqual(first, fingerprint(self.tree))

    def test_make_rootfs_repairs_a_rootfs_that_has_lost_a_part(self):
        self.must(f'cp -r --parents Makefile rootfs steps/oci/oci.mk {self.place}; cd {self.place}; make rootfs')
        for part in ('proc', 'bin', 'bin/sh', '*'):
            self.must(f'cd {self.place}/build/rootfs; rm -r {part}; cd ../..; make rootfs; '
                      '[ -e build/rootfs/proc ] && build/rootfs/bin/sh -c :')
        self.assertEqual(self.must(f'cd {self.place}; make -s rootfs'), '')

    def test_its_links_are_relative_so_they_hold_wherever_the_root_is(self):
        self.must(f'rootfs/build {self.tree}')
        links = [f'{path}/{name}' for path, directories, files in os.walk(self.tree)
                 for name in directories + files if os.path.islink(f'{path}/{name}')]
        self.assertGreater(len(links), 200)
        for link in links:
            self.assertFalse(os.path.isabs(os.readlink(link)), link)
            self.assertTrue(os.path.exists(link), link)

    def test_a_directory_that_something_else_made_is_refused_and_unchanged(self):
        precious, link = self.scratch(), self.place + '/link'
        testing.write(precious + '/file', 'keep\n')
        self.assertEqual(len(self.refuses(f'rootfs/build {precious}').splitlines()), 1)
        self.assertEqual(testing.contents(precious + '/file'), 'keep\n')

        os.symlink(precious, link)
        self.refuses(f'rootfs/build {link}')
        self.assertEqual(testing.contents(precious + '/file'), 'keep\n')

    def test_a_busybox_that_needs_libraries_is_refused(self):
        self.refuses(f'BUSYBOX=/bin/sh rootfs/build {self.tree}')
        self.assertFalse(os.path.exists(self.tree))


class Others(Rootfs):
    """Trees that others made."""

    def reads_its_passwd(self, caller):
        """bash and cat run in the tree, as a caller who owns it."""
        result = testing.shell(f'LC_ALL=C {caller} --net none --memory none {self.tree} '
                               "bash -c 'echo $(cat /etc/passwd)'")
        self.assertEqual(result.out, 'root:x:0:0:root:/root:/bin/sh\n', result.err)

    def test_from_host_brings_a_program_and_what_it_is_linked_to(self):
        self.must(f'rootfs/from-host {self.tree} bash cat')
        program = self.place + '/08-all'  # Where an ordinary user gets to it.
        shutil.copy('build/08-all', program)
        self.reads_its_passwd((testing.AS_USER if testing.IS_ROOT else '') + program)
        if testing.IS_ROOT:
            self.reads_its_passwd(program)
        self.refuses(f'rootfs/from-host {self.tree} bash')
        self.assertEqual(self.refuses(f'rootfs/from-host {self.tree}2 no-such'),
                         'rootfs/from-host: there is no no-such here\n')
        self.assertFalse(os.path.exists(self.tree + '2'))

    def test_from_image_unpacks_what_docker_export_writes(self):
        self.must(f'tar -C build/rootfs -cf {self.place}/plain.tar .')
        self.must(f'rootfs/from-image {self.place}/plain.tar {self.tree}')
        differs = f'LC_ALL=C diff -r --no-dereference build/rootfs {self.tree}'
        self.assertIn('Only in build/rootfs/dev', testing.shell(differs).out)
        self.assertEqual(self.must(differs + ' -x dev'), '')
        for source in ('/etc/passwd', '/no/such', '/etc'):
            self.refuses(f'rootfs/from-image {source} {self.place}/none')
            self.assertFalse(os.path.exists(self.place + '/none'))

    def test_from_image_brings_no_device_and_no_set_uid_file_and_all_else(self):
        self.must(f'mkdir -p {self.place}/t/opt/dev {self.place}/t/dev && cd {self.place}/t && '
                  'echo kept >opt/dev/file && cp /bin/true suid && chmod 6755 suid && '
                  'touch dev/null && tar -cf ../hostile.tar .')
        self.must(f'rootfs/from-image {self.place}/hostile.tar {self.tree}')
        self.assertEqual(testing.contents(self.tree + '/opt/dev/file'), 'kept\n')
        self.assertEqual(os.stat(self.tree + '/suid').st_mode & 0o7777, 0o755)
        self.assertFalse(os.path.exists(self.tree + '/dev/null'))

    @unittest.skipUnless(shutil.which('skopeo') and shutil.which('umoci'),
                         'it needs skopeo and umoci')
    def test_from_image_applies_the_layers_of_an_image_from_each_kind_of_it(self):
        """The second layer changes a file of the first, and removes one."""
        # As root, skopeo keeps a cache in /var/lib.
        aside = "unshare --mount sh -c 'mount -t tmpfs none /var/lib && exec \"$@\"' sh " * \
            testing.IS_ROOT
        self.must(f"{aside} sh -c '"
                  f'cd {self.place} && export HOME={self.place} && '
                  f'r={"" if testing.IS_ROOT else "--rootless"} && '
                  'umoci init --layout oci && umoci new --image oci:it && '
                  'mkdir one && echo old >one/changed && echo old >one/removed && '
                  'umoci insert $r --image oci:it one / && echo new >one/changed && '
                  'umoci insert $r --image oci:it one/changed /changed && '
                  'umoci insert $r --image oci:it --whiteout /removed && '
                  'skopeo copy -q oci:oci:it docker-archive:save.tar:it:latest && '
                  "skopeo copy -q oci:oci:it oci-archive:oci.tar'")
        for source in ('oci:it', 'save.tar', 'oci.tar'):
            with self.subTest(source):
                self.must(f'rm -rf {self.tree} && '
                          f'{aside} rootfs/from-image {self.place}/{source} {self.tree}')
                self.assertEqual(testing.contents(self.tree + '/changed'), 'new\n')
                self.assertFalse(os.path.exists(self.tree + '/removed'))


if __name__ == '__main__':
    testing.main()
