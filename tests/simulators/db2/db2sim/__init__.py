"""The simulated database server; installed below /opt/ibm/db2. Standard library only."""
