"""The same endpoint in each framework, to be compared by bench.http.frameworks."""
