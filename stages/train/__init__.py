"""Stage `train`: one cell with one seed."""

import stages.core.environment  # noqa: F401
