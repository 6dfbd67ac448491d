"""Run a command and print what it took as a line of JSON: seconds, seconds of CPU, peak bytes, exit code.

``python -S benchmarks/launch.py LOG PROGRAM ARGUMENT…``: what it prints goes to the file *LOG*. A process counts the memory of
the one that started it as its own, so this one is small and imports little.
"""

import os
import sys
import time


def main(log: str, program: str, *arguments: str) -> None:
    """Measure."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    actions = [(os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)]
    began = time.perf_counter()
    process = os.posix_spawn(program, [program, *arguments], os.environ, file_actions=actions)
    _, status, used = os.wait4(process, 0)
    seconds = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(status)
    print(f'{{"wall": {seconds}, "cpu": {used.ru_utime + used.ru_stime}, "peak": {used.ru_maxrss * 1024}, "code": {code}}}')


if __name__ == "__main__":
    main(*sys.argv[1:])
