"""Builds what a learner wrote, and what checks it."""

import glob
import os
import re
import subprocess
import textwrap

from learn.files import BUILD, MY, STEPS, STEP_TESTS, mine, read
from learn.progress import remember_check
from learn.promise import NOT_BUILT

# What the compiler says, and what to do then.
ADVICE = {
    'was not declared|has not been declared|is not a member|has no member named':
        'Is the name spelled as in the header, and does the header stand at the top?',
    'expected .* (before|at)': 'A character is missing there, or at the end of the line before.',
    'consteval|constexpr|constant expression':
        'Count the {} in the format, and the values behind it: there is one value for each {}.',
    'undefined reference': 'The function is declared, but no file that make links has its body.',
    'No such file': 'Paths of #include begin at the top of the project, as in "common/error.hpp".',
}


def make(*words, **settings):
    """How make(1) ended. `settings` are those of subprocess.run()."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ('MAKEFLAGS', 'MAKELEVEL', 'MFLAGS')}
    return subprocess.run(['make', '-s', '--no-print-directory', f'-j{os.cpu_count() or 1}',
                           f'MY={MY}', *words], env=environment, stdin=subprocess.DEVNULL,
                          check=False, **settings)


def header_of(name):
    """The header that declares a name: of common/, or else of a step; None if there is none."""
    paths = sorted(glob.glob('common/**/*.hpp', recursive=True)) + sorted(glob.glob('steps/0*/*.hpp'))
    return next((path for path in paths if re.search(
        rf'^(class|struct|enum class) {name}\b|^\w[\w:<>&* ]* {name}\(|'
        rf'^inline constexpr .*\b{name} =', read(path), re.M)), None)


def advice_on(error):
    """What to do about an error of the compiler."""
    name = re.search(r"'(?:sys::)?(\w+)' (was not declared|is not a member of 'sys')", error)
    if name and header_of(name[1]):
        return f'#include "{header_of(name[1])}" at the top declares {name[1]}.'
    if name and 'was not declared' in error:
        return f'Is the name spelled right? If {name[1]} is a system call, or a flag of one, its ' \
            'man page names the header for the top.'
    return next((words for pattern, words in ADVICE.items() if re.search(pattern, error)),
                'Mend the line that it names.')


def first_error(step):
    """The first error of the compiler, in lines, and what to do. Nothing if it builds."""
    made = make(f'{BUILD}/{MY}/{STEPS[step]}', 'LC_ALL=C', stderr=subprocess.PIPE,
                encoding='utf-8', errors='replace')
    if made.returncode == 0:
        return ''
    lines = made.stderr.splitlines()
    error = next((line for line in lines if re.search('error: |undefined reference', line)), '')
    # An error in a header begins at a line of the learner.
    place = next((line for line in lines if re.match(rf'{re.escape(mine(step))}:\d', line)), error)
    return '\n'.join([*dict.fromkeys([place, error]), '', *textwrap.wrap(
        f'{advice_on(error)} Mend this error first, because others can follow from it.', 92)])


def build(step):
    """Builds the learner's own first, because it might not compile, and the rest takes minutes,
    once. Whether it compiles; what the compiler says stands on standard error."""
    if make(f'{BUILD}/{MY}/{STEPS[step]}').returncode != 0:
        remember_check(step, NOT_BUILT, 0, is_whole=False)
        return False
    if not os.path.exists(STEP_TESTS):
        print('  It builds. Now, once, the tests and what they need: some minutes.\n', flush=True)
    if make('checker').returncode != 0:
        raise SystemExit('learn: what checks it does not build')
    return True
