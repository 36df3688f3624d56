"""AIX as far as its commands show it: what goes onto a lab node (machine/, files/) and what puts it there (install.py)."""
