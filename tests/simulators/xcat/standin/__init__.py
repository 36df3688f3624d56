"""A stand-in for an xCAT 2.19 management node: daemon, commands, database files.

It behaves as the real programs were seen to behave (output, exit status,
files, refusals) and knows nothing of what asks it.  Standard library only.
"""

VERSION = "Version 2.19.0 (git commit 0123456789abcdef0123456789abcdef01234567, built Fri Nov 21 10:00:00 UTC 2025)"
