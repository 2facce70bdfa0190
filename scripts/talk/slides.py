"""Makes the slides: one page with nothing outside it, and what is printed of it.

  usage   scripts/slides build        build/slides.html
          scripts/slides pdf [PLAN]   build/slides.pdf, notes.pdf, handout.pdf of the talk, or of
                                      `three` hours or `all`; the audience's sheet and the helpers'
          scripts/slides kit          build/kit, for a stick, and for a room without a network
          scripts/slides rehearse     the addresses that count your minutes
  needs   scripts/setup slides; `pdf` takes Chromium, and `kit` other compilers if they are there

Fails rather than show code, a transcript or a picture that is gone.
"""

import os
import shutil
import subprocess
import sys

from talk import browser, deck, npm

BUILD = deck.TOP + '/build'
PAGE = BUILD + '/slides.html'
LIMIT = 4 << 20  # Bytes, so that it goes into a mail.


def write(path, text):
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def build():
    npm.fetch()
    slides = deck.read()
    text = deck.page(slides)
    if len(text.encode()) > LIMIT:
        raise deck.Wrong(f'{len(text.encode())} bytes are too much')
    write(PAGE + '.new', text)
    os.replace(PAGE + '.new', PAGE)
    print(f'made {os.path.relpath(PAGE)}, {len(text.encode()) // 1024} KiB: ' + ', '.join(
        f'?{plan}: {sum(slide.is_in(plan) for slide in slides)} slides, {minutes:g} minutes'
        for plan, minutes in deck.minutes(slides).items()))
    print(f'open it: {browser.address(PAGE)}')


def printed(name, plan='talk'):
    """A print of the slides, or a sheet, as a PDF."""
    path = PAGE
    if name in deck.SHEETS:
        path = f'{BUILD}/{name}.html'
        write(path, deck.sheet(name))
    return browser.pdf(path, name, plan)


def pdf(plan='talk'):
    for name in deck.PRINTS + deck.SHEETS:
        data = printed(name, plan)
        with open(f'{BUILD}/{name}.pdf', 'wb') as file:
            file.write(data)
        print(f'made {os.path.relpath(BUILD)}/{name}.pdf: {browser.pages(data)} pages')


# What goes on the stick, beside the repository and the programs.
KIT = ('slides.html', 'slides.pdf', 'notes.pdf', 'handout.pdf', 'sheet.pdf', 'helpers.pdf')
MACHINES = ('x86_64', 'aarch64')
MANAGERS = ('apt', 'dnf', 'pacman', 'apk', 'zypper')
READ_ME = '''Containers from scratch, for a room without a network

You need Linux, also in a virtual machine. `uname -m` prints the name of your machine.

  tar xf containers.tar.gz               the course, as it is in git
  tar xf programs-MACHINE.tar.gz         its programs, for %s
  cd containers && sudo build/08-all     no compiler is needed to run them, and root for this one

The root filesystem, build/rootfs, is in the programs for %s. On the other machine, rootfs/build
makes it, and needs a static busybox.

To change a step, edit its main.cpp and type make build. This needs g++ 11 or later, make, and the
headers of fmt, which are on this stick:

  export CPLUS_INCLUDE_PATH=/PATH/OF/THE/STICK/include

make start-03 and make check-03 need the packages in packages.txt, and those need a network.
slides.html is the talk, and V plays the recording of each demo.
sha256sum -c SHA256SUMS tells whether the stick is as it was.
'''


def run(*words, cwd=deck.TOP):
    return subprocess.run(words, cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout


def pack_programs(folder, machine):
    """The static programs for a machine, if there is a compiler for it. Whether there is one."""
    build, names = 'build', [*deck.STEPS.values(), 'enter', 'inspect']
    if machine == os.uname().machine:
        names.append('rootfs')
    else:
        build, tools = f'build/{machine}', f'{machine}-linux-gnu-'
        if not shutil.which(tools + 'g++'):
            print(f'there is no {tools}g++, so the kit has no programs for {machine}')
            return False
        run('make', '-j2', 'build', f'BUILD={build}', f'CXX={tools}g++', f'AR={tools}ar')
    run('tar', '-czf', f'{folder}/programs-{machine}.tar.gz', '--owner=0', '--group=0',
        f'--transform=s,^{build},containers/build,', *(f'{build}/{name}' for name in names))
    return True


def kit(folder=BUILD + '/kit'):
    """Needs the programs, the root filesystem and the prints."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for name in KIT:
        shutil.copy(f'{BUILD}/{name}', folder)
    shutil.copytree('/usr/include/fmt', f'{folder}/include/fmt')
    run('git', 'archive', '--prefix=containers/', f'--output={folder}/containers.tar.gz', 'HEAD')
    machines = [machine for machine in MACHINES if pack_programs(folder, machine)]
    write(folder + '/README.txt', READ_ME % (' or '.join(machines), os.uname().machine))
    write(folder + '/packages.txt', ''.join(
        f'{manager}: {run("scripts/setup", "--list", manager, "test")}'.replace('\n', ' ') + '\n'
        for manager in MANAGERS))
    sums = run('sh', '-c', 'find . -type f | sort | xargs sha256sum', cwd=folder)
    write(folder + '/SHA256SUMS', sums)
    print(f'made {os.path.relpath(folder)}: {len(sums.splitlines())} files')


def rehearse():
    for plan, minutes in deck.minutes(deck.read()).items():
        print(f'{plan}, {minutes:g} minutes: {browser.address(PAGE, f"?{plan}&rehearse")}')
    print('Talk aloud, with the demos. The key M shows the minutes planned and used, by the part.\n'
          'They stay in this browser: without "rehearse" in the address, M shows them again.')


def main():
    verbs = {'build': build, 'pdf': pdf, 'kit': kit, 'rehearse': rehearse}
    if len(sys.argv) < 2 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    try:
        verbs[sys.argv[1]](*sys.argv[2:])
    except (deck.Wrong, browser.Failure, npm.Missing, subprocess.CalledProcessError) as error:
        sys.exit(f'slides: {error}')
