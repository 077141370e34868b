"""The command `cardiograd`, as a wheel installs it."""

import signal
import sys

from . import _native


def main() -> int:
    # The program is not Python's: Ctrl-C ends it at once, as where it is installed without Python.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.command(["cardiograd", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
