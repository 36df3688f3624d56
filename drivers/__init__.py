"""Drivers that come with xcat-ha. They are registered in setup.cfg exactly as a stranger's would be."""
