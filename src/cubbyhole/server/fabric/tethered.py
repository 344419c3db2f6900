"""Run a program that the kernel kills when the process that started it dies, however that dies (Linux).

Used as a script, with nothing of Cubbyhole imported: ``python -I -S tethered.py PARENT_PID PROGRAM ARGUMENT…``.
It becomes the program, so its pid is the program's. Elsewhere than on Linux it only becomes the program.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent = int(sys.argv[1])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            sys.exit("the parent is gone already")
    os.execv(sys.argv[2], sys.argv[2:])
