"""The Network Installation Manager: its database, what it refuses, what its operations do to files."""
