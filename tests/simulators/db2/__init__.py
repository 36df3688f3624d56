"""A simulator of DB2 with HADR: see README.md."""
