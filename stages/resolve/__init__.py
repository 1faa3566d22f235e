"""Stage `resolve`: what each cell is at a budget."""
