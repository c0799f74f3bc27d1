"""`wpool logs`: the lines of a whole pool, of the workers that are there and, by Loki, of those that are gone."""
