"""Statistics, verdicts and the outcomes of claims: pure functions of plain numbers, which read and write nothing."""
