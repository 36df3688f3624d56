"""xcatd: the daemon and its processes."""
