"""Gives the tests in Python a last line that scripts/test can sum."""

import os
import sys
import unittest

from texts.sources import TOP


def main():
    """Runs all tests of the program, or the tests that the command line names, at the top of the
    project."""
    os.chdir(TOP)
    module = sys.modules['__main__']
    load = unittest.defaultTestLoader
    suite = load.loadTestsFromNames(sys.argv[1:], module) if sys.argv[1:] else \
        load.loadTestsFromModule(module)
    result = unittest.TextTestRunner(verbosity=0).run(suite)
    for test, why in result.skipped:
        print(f'{test}: skipped: {why}')
    failed = len(result.failures) + len(result.errors)
    # A failure before the first test counts, although no test has run.
    passed = max(0, result.testsRun - failed - len(result.skipped))
    print(f'{passed} passed, {failed} failed, {len(result.skipped)} skipped')
    sys.exit(failed > 0)
