"""What the drivers for PostgreSQL share. It is no driver itself; the drivers import it, and never each other.

Everything here runs on the node whose server it is about, as root, with the standard library only (psycopg2 is used if it is there):
see :mod:`~xcat_ha_drivers.postgres.server` for how the server's owner is spoken for.

What has nothing to do with PostgreSQL is in :mod:`xcat_ha_drivers.database`.

==================  ==================================================================================================
:mod:`.location`    what ``/etc/xcat/cfgloc`` says, and how its host is put right
:mod:`.layout`      where the server keeps its files, programs and unit: found, not assumed
:mod:`.server`      psql and its companions as the owner of the server, over its local socket
:mod:`.access`      listen_addresses and pg_hba.conf, in marked blocks
:mod:`.questions`   is it up, which databases are there, does xCAT's own login work
:mod:`.contents`    what a database holds, as digests that another server can be compared by
:mod:`.errors`      :class:`~.errors.PostgresError`, a refusal in one line
==================  ==================================================================================================
"""
