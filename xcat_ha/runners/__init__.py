"""How commands reach a host: this machine, ssh, nowhere (dry run), with a recording."""

from xcat_ha.runners.local import LocalRunner
from xcat_ha.runners.read_only import ReadOnlyRunner
from xcat_ha.runners.recording import RecordingRunner, Run
from xcat_ha.runners.routing import RoutingRunner
from xcat_ha.runners.silenced import SilencedRunner
from xcat_ha.runners.ssh import SshRunner

__all__ = ["LocalRunner", "ReadOnlyRunner", "RecordingRunner", "RoutingRunner", "Run", "SilencedRunner", "SshRunner"]
