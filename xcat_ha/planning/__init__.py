"""From observations to phases: one module per operation. Pure: nothing here reads or changes anything."""

from xcat_ha.planning.operation import Operation, PhasePlanner, PlanningInput

__all__ = ["Operation", "PhasePlanner", "PlanningInput"]
