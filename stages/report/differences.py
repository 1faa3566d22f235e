"""What sets one cell apart from another, as markdown: settings that mean something together are one change."""

from collections.abc import Iterable, Mapping
from typing import Any

from stages.config.cells import GROUPS, PRECISION
from stages.config.checks import study_difference
from stages.config.params import Params
from stages.report.markdown import code, escape

_MAIN, _MOMENTUM = "optimizer", "momentum"


def differences_text(params: Params, budget: str, dataset: str, base: str, other: str) -> str:
    """What `other` sets differently from `base`, as `` `lr` 0.01 instead of 0.001``; empty for the same settings."""
    before, after = (_settings(params, budget, f"{dataset}/{name}") for name in (base, other))
    changes = _changes(study_difference(params, dataset, base, other))
    return "; ".join(_change(names, before, after) for names in changes)


def _settings(params: Params, budget: str, cell: str) -> dict[str, Any]:
    precision = params.resolved[cell].precision or params.chosen_budget(budget).precision
    return {**params.find(cell)[1].model_dump(), PRECISION: precision}


def _changes(changed: Iterable[str]) -> list[list[str]]:
    """Changed settings, those of one group together, in the order of the groups."""
    names = list(changed)
    grouped = [[name for name in names if name in group] for group in GROUPS]
    apart = [[name] for name in names if not any(name in group for group in GROUPS)]
    return [change for change in (*map(_main_first, grouped), *apart) if change]


def _main_first(names: list[str]) -> list[str]:
    """The optimizer's name before its constants."""
    return sorted(names, key=lambda name: name != _MAIN)


def _change(names: list[str], before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """One change. Constants that only one of two optimizers has go without saying."""
    new = ", ".join(f"{code(name)} {_text(after[name])}" for name in names if _said(name, after, before))
    old = ", ".join(_text(before[name]) for name in names if _said(name, before, after))
    return f"{new} instead of {old}" if old else new


def _said(name: str, settings: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    return name in settings and (name in others or (name == _MOMENTUM and settings[name] > 0))


def _text(value: Any) -> str:
    return escape(str(value))
