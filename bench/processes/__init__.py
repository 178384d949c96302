"""Programs that the benchmark starts: the measured case, and the other processes that a case needs."""
