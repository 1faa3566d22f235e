"""Whether anyone else used the machine meanwhile: a number measured beside other work says little."""

import os
import time
from typing import NamedTuple

import psutil

from stages.core.progress import say

QUIET = 0.05  # share of the machine's time; with more in other hands numbers are of little use
_BUSY = ("user", "nice", "system", "irq", "softirq", "steal")


class Usage(NamedTuple):
    """Seconds from some start: on the clock, of all processors, and of this process with those it waited for."""

    wall: float
    busy: float
    own: float


def usage() -> Usage:
    """What was used up to now. Time that a hypervisor gave to other machines counts as busy."""
    times, own = psutil.cpu_times(), os.times()
    busy = sum(getattr(times, name, 0.0) for name in _BUSY)
    return Usage(time.monotonic(), busy, own.user + own.system + own.children_user + own.children_system)


def elsewhere(start: Usage, end: Usage, cores: int) -> float:
    """The share of the machine's time between two usages that was not this benchmark's, and not idle either."""
    others = (end.busy - start.busy) - (end.own - start.own)
    return round(max(0.0, others / (cores * (end.wall - start.wall))), 3)


def busy_elsewhere(start: Usage, what: str) -> float:
    """`elsewhere` since `start`; where it is too much for what was measured to be of use, that is said."""
    busy = elsewhere(start, usage(), os.cpu_count() or 1)
    if busy > QUIET:
        say(f"{what}: others used {busy:.0%} of the machine; measure again")
    return busy
