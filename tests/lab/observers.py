"""Observers outside the product, by which it is judged: nothing here asks the product.

Addresses (who held one, twice or not at all), secrets (seen in argv or environments), services
(running twice or not at all), files (equal or not).
"""

from .addresses import AddressEvent, AddressRecorder, parse_addresses, parse_monitor
from .files import Difference, FileFacts, compare_trees, read_tree
from .leaks import Leak, SecretSampler
from .services import ServiceWatcher, listening_ports, port_probe, process_probe
from .timelines import Change, Interval

__all__ = [
    "AddressEvent",
    "AddressRecorder",
    "Change",
    "Difference",
    "FileFacts",
    "Interval",
    "Leak",
    "SecretSampler",
    "ServiceWatcher",
    "compare_trees",
    "listening_ports",
    "parse_addresses",
    "parse_monitor",
    "port_probe",
    "process_probe",
    "read_tree",
]
