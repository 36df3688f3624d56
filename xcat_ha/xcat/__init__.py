"""What xCAT looks like from outside: cfgloc, table dumps, stanza output, its commands and service names."""
