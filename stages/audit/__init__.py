"""Every number answers for itself: where it comes from, and whether that holds."""

import stages.core.environment  # noqa: F401
