"""A driver that ends in an exception when it is imported."""

raise RuntimeError("no licence found")
