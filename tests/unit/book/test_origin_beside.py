"""The origin of a further seed beside the first seed's: what is its own, what both share, what it lacks."""

from stages.book.origin import Origin, Step, Thing
from stages.report.levels import Level

COMMIT, RUN, RESUMED = ("Commit", "c"), ("MLflow run", "r"), ("Resumed", "after epoch 3")
CODE, SPEC, OWN, OTHER = (Thing(name, None, "md5", name[:1]) for name in ("code, 3 modules", "spec", "own", "other"))
RAW, MERGED = Step("Raw data", "made by download", (OWN,)), Step("Merged", "of two machines", (OTHER,))
LEVEL: Level = "recounted"


def seed(number: int, facts: tuple[tuple[str, str], ...], *steps: Step) -> Origin:
    return Origin(number, 50.0, "finished", LEVEL, "means", steps, facts, (), "check", "command")


def test_steps_are_matched_by_their_names_whatever_else_stands_between() -> None:
    first = seed(0, (COMMIT, RUN), RAW, Step("Training", "t0", (CODE, SPEC, OWN)))
    found = seed(1, (COMMIT, RUN), RAW, MERGED, Step("Training", "t1", (CODE, SPEC, OTHER))).beside(first)
    assert found.steps == (MERGED, Step("Training", "t1", (OTHER,)))
    assert found.shared == ("Raw data", "code (Training)", "spec (Training)", "Commit", "MLflow run")
    assert (found.facts, found.lacking) == ((), ())


def test_what_the_first_seed_alone_has_is_named() -> None:
    first = seed(0, (COMMIT, RESUMED), RAW, MERGED)
    found = seed(1, (("Commit", "d"),), RAW).beside(first)
    assert (found.facts, found.shared, found.lacking) == ((("Commit", "d"),), ("Raw data",), ("Merged", "Resumed"))
    resumed = seed(1, (COMMIT, ("Resumed", "after epoch 4")), RAW, MERGED).beside(first)
    assert (resumed.facts, resumed.lacking) == ((("Resumed", "after epoch 4"),), ())
