"""The text of a plan."""

from collections import Counter
from collections.abc import Iterator

from stages.config.params import Training
from stages.core.checkout import gibibytes
from stages.core.errors import few
from stages.core.progress import duration
from stages.launch.sizes import at_once
from stages.plan.campaign import Campaign, formats
from stages.track.uri import log_line, tracking_uri


def plan_text(planned: Campaign) -> str:
    """All lines of a plan."""
    return "\n".join(_lines(planned))


def _lines(planned: Campaign) -> Iterator[str]:
    budget = planned.params.chosen_budget(planned.budget)
    done = len(planned.planned) - len(planned.left)
    yield f"budget {planned.budget} ({budget.caption}): {len(planned.planned)} trainings, {done} done"
    yield from _families(planned)
    for reason, count in Counter(planned.left.values()).most_common():
        yield f"  {count} left: {reason}"
    for dataset, changed in planned.changed.items():
        why = f"{few(changed, 3)} changed"
        then = "if any array but the augmented copies changes, every training is left"
        yield f"  {dataset}: arrays are made again first ({why}); {then}"
    yield _time(planned)
    yield from _memory_and_disk(planned)
    yield f"device: {planned.machine.machine.device} on {planned.machine.machine.processor}"
    yield f"number format: {_number_formats(planned)}"
    yield f"MLflow: {log_line(tracking_uri())}"
    for number, counted in formats(planned).items():
        if len(counted) > 1:
            differing = "; ".join(f"{count} of {name}" for name, count in counted.most_common())
            trainings = f"the trainings of Table {number}"
            yield f"warning: with the rest run here, {trainings} differ in device or number format: {differing}"


def _families(planned: Campaign) -> Iterator[str]:
    """A line for each data set and family: how many are done, how many left, and for how long, one after the other."""
    groups: dict[str, list[Training]] = {}
    for training in planned.planned:
        family = planned.specs[str(training.key)].settings.cell.family
        groups.setdefault(f"{training.key.dataset} {family}", []).append(training)
    width = max(map(len, groups), default=0)
    for name, trainings in groups.items():
        left = [training for training in trainings if training in planned.left]
        line = f"  {name:{width}}  {len(trainings) - len(left):3} done  {len(left):3} left"
        seconds = [planned.seconds(training) for training in left]
        known = sum(value for value in seconds if value is not None)
        yield f"{line}  {duration(known)} one after the other" if left and None not in seconds else line


def _time(planned: Campaign) -> str:
    if not planned.left:
        return "time left: none, every training has a recorded result"
    seconds = planned.time_left()
    if seconds is None:
        return "time left: unknown, no training is recorded here; one gives rates: make launch OPTIONS='--cells <cell>'"
    at_a_time = f"{planned.jobs} at a time"
    return f"time left: about {duration(seconds)}, {at_a_time}, by {_rates(planned)}"


def _rates(planned: Campaign) -> str:
    """Where the estimates come from."""
    here, other, scaled = 0, 0, 0
    for training in planned.left:
        family = planned.specs[str(training.key)].settings.cell.family
        alike = planned.eta.alike(training)
        if alike[0].run.cell.family != family:
            scaled += 1
        elif alike[0].machine == planned.machine.machine:
            here += 1
        else:
            other += 1
    parts = {
        "rates of this kind of machine": here,
        "rates of other machines": other,
        "rates of other families": scaled,
    }
    return ", ".join(f"{name} ({count})" for name, count in parts.items() if count)


def _memory_and_disk(planned: Campaign) -> Iterator[str]:
    """Memory and disk; needs no more than what is left needs."""
    if not planned.left:
        return
    largest = planned.memory()[: planned.jobs]
    yield (
        f"memory: roughly {gibibytes(largest[0])} for the largest training, {gibibytes(sum(largest))} for the "
        f"{len(largest)} largest at a time, of {gibibytes(planned.machine.memory)} free"
    )
    if sum(largest) > planned.machine.memory:
        yield f"warning: these may not fit in memory; --jobs {at_once(largest, planned.machine.memory)} fits"
    yield (
        f"disk: {gibibytes(planned.weights())} for weights and checkpoints, {gibibytes(planned.data())} for data, "
        f"of {gibibytes(planned.machine.disk)} free"
    )


def _number_formats(planned: Campaign) -> str:
    counted = Counter(planned.precision(training) for training in planned.left)
    return ", ".join(f"{name} ({count} left)" for name, count in counted.items()) or "nothing is left"
