"""The xCAT stand-in: what goes onto a lab node (standin/, files/) and what puts it there (install.py)."""
