"""The journal: one totally ordered log of a namespace that every dispatcher writes and follows."""
