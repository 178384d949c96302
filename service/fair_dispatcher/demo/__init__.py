"""Shows fair dispatch on real traffic: many customers share few consumers while one of them floods."""
