"""What the plans of drivers that replicate a database share. It is no driver itself.

What runs on a node is in :mod:`xcat_ha_drivers.database`.

====================  ====================================================================================================
:mod:`.copies`        :class:`~.copies.VerifiedCopies`, a backend that snapshots, sends, proves and exchanges whole copies
:mod:`.following`     :class:`~.following.FollowingServers`, a backend whose standby's server follows by itself
:mod:`.answers`       what the answers of every such driver's program have in common
:mod:`.programs`      the program of such a driver on a node, as commands and checks
:mod:`.options`       options that are no numbers
====================  ====================================================================================================
"""
