"""Builds what a learner wrote, and what checks it."""

import os
import subprocess

from learn.files import BUILD, MY, STEPS, STEP_TESTS


def make(*words):
    """What the compiler said, and whether it went well."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ('MAKEFLAGS', 'MAKELEVEL', 'MFLAGS')}
    made = subprocess.run(['make', '-s', '--no-print-directory', f'-j{os.cpu_count() or 1}',
                           f'MY={MY}', *words], env=environment, stdin=subprocess.DEVNULL,
                          check=False)
    return made.returncode == 0


def build(step):
    """Builds the learner's own first, because it might not compile, and the rest takes minutes,
    once. Whether it compiles; what the compiler says stands on standard error."""
    if not make(f'{BUILD}/{MY}/{STEPS[step]}'):
        return False
    if not os.path.exists(STEP_TESTS):
        print('  It builds. Now, once, the tests and what they need: some minutes.\n', flush=True)
    if not make('checker'):
        raise SystemExit('learn: what checks it does not build')
    return True
