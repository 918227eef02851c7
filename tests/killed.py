"""Processes that are killed at a chosen moment."""

import os
import signal


def killed_at(point, work):
    """Do work in a process that is killed, as by SIGKILL, when it is about to fsync or rename for the nth time."""
    child = os.fork()
    if child == 0:
        done = [0]

        def guarded(call):
            def guard(*args):
                done[0] += 1
                if done[0] == point:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args)

            return guard

        os.fsync, os.replace = guarded(os.fsync), guarded(os.replace)
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
