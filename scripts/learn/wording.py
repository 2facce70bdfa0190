"""Which promises later steps keep, and what a failed CHECK says."""

import re

from learn.throwaway import short

# Promises of earlier steps that later ones keep: whose they are, where they are kept,
# and the test's name, or its beginning.
PROMISES_OF_EARLIER_STEPS = [line.split('|') for line in '''\
01-chroot|02 03 04 05 06 07 08|/ is the rootfs (root)
01-chroot|02 03 04|a file made outside is seen inside, and the other way round (root)
02-pidns|03 04 05 06 07|the command is PID 1, and has another number outside (root)
02-pidns|03 04 05 06 07 08|it cannot name a process of the host, so cannot kill it (root)
02-pidns|03 04 05 06 07|PID 1 shrugs off its own SIGKILL (root)
02-pidns|03 04 05 06 07 08|the end of PID 1 ends all (root)
03-userns|04 05 06 08|inside it is root, outside it is not (user)
03-userns|04 05 06 07 08|inside it is root, outside it is not (root)
03-userns|04 05 06 07 08|65536 ids are mapped for root, and no group of the caller's (root)
03-userns|04 05 06 08|an ordinary user maps one id, and has given up setgroups (user)
03-userns|04 05 06 07|a file of the host's root stays closed to it (root)
03-userns|04|it may not mount, and is told why (user)
03-userns|04 05 06 07 08|a process of the host is out of its reach
03-userns|04 05 06 07 08|a rootfs below a private directory will do (root)
02-pidns|05 06 07 08|its PID namespace is another one than the host's (root)
02-pidns|05 06 07|ps sees only the container's processes (root)
04-uts|05 06 08|it is called box, or as it is told (user)
04-uts|05 06 07 08|it is called box, or as it is told (root)
04-uts|05 06|it may change its name, and the host keeps its own (user)
04-uts|05 06 07|it may change its name, and the host keeps its own (root)
05-mountns|06 07|a mount made inside is not on the host (root)
05-mountns|06|a mount made inside is not on the host (user)
05-mountns|06 08|its mount namespace is its own (user)
05-mountns|06 07 08|its mount namespace is its own (root)
05-mountns|06 07 08|what it writes is gone with it, and the image as it was (root)
05-mountns|06 08|what it writes is gone with it, and the image as it was (user)
05-mountns|06 07 08|a user's image can be torn apart inside, and is whole outside (user)
05-mountns|06 07|/proc shows its own processes, ps sees again (root)
05-mountns|06|/proc shows its own processes, ps sees again (user)
05-mountns|06 07 08|/dev has the harmless devices, terminals and memory of its own (root)
05-mountns|06 08|/dev has the harmless devices, terminals and memory of its own (user)
05-mountns|06 07 08|--read-only forbids writing, but to /tmp and /dev/shm (root)
05-mountns|06 08|--read-only forbids writing, but to /tmp and /dev/shm (user)
05-mountns|06 07 08|--bind shows a directory of the host's, :ro only shows it (root)
05-mountns|06 08|--bind shows a directory of the host's, :ro only shows it (user)
05-mountns|06 07 08|--bind shows a single file, too (root)
05-mountns|06 08|--bind shows a single file, too (user)
05-mountns|06 07 08|--bind reaches below a private directory of the host's (root)
05-mountns|06 07 08|a --bind that cannot be is refused in one line (root)
05-mountns|06 07 08|an image with links to the host has no hold on it (root)
05-mountns|06 08|an image with links to the host has no hold on it (user)
05-mountns|06 08|a path with blanks, commas and colons is a path (user)
05-mountns|06 07 08|a path with blanks, commas and colons is a path (root)
05-mountns|06 08|the umask of the caller shows nowhere (user)
05-mountns|06 07 08|the umask of the caller shows nowhere (root)
05-mountns|06 07 08|each mount allows no more than it is for (root)
06-netns-veth|07 08|ping answers both ways (root)
06-netns-veth|07 08|it has lo and eth0, both up, and no route past the host's end (root)
06-netns-veth|07 08|nothing that is new comes in, from whoever has a route to it (root)
06-netns-veth|07 08|what the host's root publishes does come in, with --net nat (root)
06-netns-veth|07 08|the cable's end is on the host meanwhile, and gone afterwards (root)
06-netns-veth|07 08|its network namespace is its own (root)
06-netns-veth|07 08|--net none has lo, and that is up (root)
06-netns-veth|07 08|--net host is the host's network, and no /sys (root)
06-netns-veth|07|what an ordinary user asks for and cannot have is an error (user)
06-netns-veth|07 08|/sys shows its own interfaces, not the host's (root)
06-netns-veth|07 08|the host takes no routes from it, and forwards nothing of it (root)
06-netns-veth|07 08|a hundred at once have a hundred addresses (root)
06-netns-veth|07 08|a block that the host has a route to is left alone (root)
06-netns-veth|07 08|--net nat lets it out, under the host's address, and undoes it (root)
03-userns|08|it may not change the host's name
06-netns-veth|08|its network namespace is its own (user)
06-netns-veth|08|--net none has lo, and that is up (user)
06-netns-veth|08|--net host is the host's network, and no /sys (user)
07-cgroup-memory|08|so is who takes it by writing files to memory (root)
07-cgroup-memory|08|who takes less is not, and a shell may go on (root)
07-cgroup-memory|08|it does not swap instead (root)
'''.splitlines()]


# What the fixture of all tests compares: see Unharmed in steps/tests/host.hpp.
HARM = {
    'changed_mounts(before)': 'while it runs, the host\'s mount table is not as before',
    'mounts_': 'the host\'s mount table afterwards is not as before: a mount is left, '
               'or one is gone',
    'network_': 'the host has another route, or another setting of its network, than before',
    'links_': 'a network link is left on the host',
    'cgroups_': 'a cgroup is left on the host',
    'processes_': 'a process is left on the host',
    'host_name() == name_': 'the host has another name than before',
    'fingerprint(': 'the image is not as it was',
}


def quote(text):
    return f'"{short(text)}"' if text.strip() else 'nothing'


def named(code):
    """A text that a test looks at."""
    if code.endswith('.out'):
        return 'what it printed'
    return 'what it said on stderr' if code.endswith('.err') else short(code)


def in_words(original, expanded):
    """What a failed CHECK says."""
    original = ' '.join(original.split())
    for code, words in HARM.items():
        if code in original:
            return words
    found, equals, wanted = expanded.rpartition(' == ')
    of = original.rpartition(' == ')[0]
    if equals and of.endswith('.status'):
        return f'it ended with status {found.strip()}, and not {wanted.strip()}'
    if equals and of.endswith(('.out', '.hear()')):
        return f'it printed {quote(found)}, and not {quote(wanted)}'
    if equals and of.endswith('.err'):
        return f'on stderr it said {quote(found)}, and not {quote(wanted)}'
    if equals:
        return f'{short(of)} is {quote(found)}, and not {quote(wanted)}'
    absent = re.match(r'(.*)\.find\((.*)\) != (?:std::string|\w+\.)(?:::)?npos', original)
    if absent:
        return f'{named(absent[1])} has no {short(absent[2])} in it'
    begins = re.match(r'(.*)\.starts_with\((.*)\)', original)
    if begins:
        return f'{named(begins[1])} does not begin with {short(begins[2])}'
    return f'it is not so that {short(original)} ({short(expanded)})'
