"""Stand-ins for programs that the tests cannot have."""
