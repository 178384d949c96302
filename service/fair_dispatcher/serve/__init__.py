"""`fairdispatch serve`: the processes of the HTTP service."""
