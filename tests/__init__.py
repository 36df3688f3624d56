"""Tests: unit, contract, lab (two real nodes), simulators, benchmarks."""
