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
        'Is the name spelled as in the header, and does the header stand at the top? The man page '
        'of a system call, and common/*.hpp, say which header has a name.',
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


def advice_on(error):
    """What to do about an error of the compiler. A header of common/ or of a step may help."""
    name = re.search(r"'(?:sys::)?(\w+)' (was not declared|is not a member of 'sys')", error)
    for path in (sorted(glob.glob('common/**/*.hpp', recursive=True)) +
                 sorted(glob.glob('steps/0*/*.hpp'))) if name else []:
        if re.search(rf'^(class|struct|enum class) {name[1]}\b|^\w[\w:<>&* ]* {name[1]}\(|'
                     rf'^inline constexpr .*\b{name[1]} =', read(path), re.M):
            return f'#include "{path}" at the top declares {name[1]}.'
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
