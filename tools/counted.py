"""counted.py - a unittest script closes as every suite does, with `N passed, N failed`.

    if __name__ == "__main__":
        sys.exit(counted.main())
"""

import unittest


def main(**options):
    """Run the script's own tests; `options` are those of unittest.main(). Returns the exit code."""
    result = unittest.main(module="__main__", exit=False, **options).result
    failed = len(result.failures) + len(result.errors)
    print("%d passed, %d failed" % (result.testsRun - failed, failed))
    return 1 if failed else 0
