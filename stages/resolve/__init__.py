"""Stage `resolve`: what each cell is at a budget."""

import stages.core.environment  # noqa: F401
