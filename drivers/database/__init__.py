"""What the programs of drivers that replicate a database share on a node. It is no driver itself, and knows no kind of database.

Standard library only, and cheap to import: a sync asks more than it does, and starting Python is most of an answer's time.

===================  =================================================================================================
:mod:`.errors`       :class:`~.errors.DatabaseError`, a refusal in one line
:mod:`.disk`         writes that survive a power loss, and the lock of a driver
:mod:`.xcatd`        whether xcatd is at work on this node
:mod:`.program`      the frame of a ``node_side``: words read, verbs run, questions answered
:mod:`.generations`  verified copies, numbered in the order they came
:mod:`.marker`       what the database in place is
:mod:`.notes`        what the programs remember between two runs
:mod:`.arrival`      fetching a copy from the other node, and a copy that lacks too much
===================  =================================================================================================
"""
